package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What a data directory holds of the cluster. Everything of one membership is
// in one folder, so that entering another is one rename.
const (
	// memberFolder is the present membership; joiningFolder is prepared by a
	// join and takes its place; formerFolder is what it replaced, until the
	// new one stands.
	memberFolder  = "cluster"
	joiningFolder = "cluster.joining"
	formerFolder  = "cluster.former"
	freshFolder   = "cluster.new"

	// In a membership's folder:
	raftFolder = "raft"
	// formerSuffix is behind the name of a log that was set aside.
	formerSuffix = ".former"
	stateFile    = "state"
	initFile     = "init"    // the founding command, until Raft has it
	intentFile   = "intent"  // a join that is not done
	leavingFile  = "leaving" // a leave that is not done
	leftFile     = "left"    // this node was told to leave its former cluster
	readyFile    = "ready"   // the folder is complete

	// temporaryMark is in the names of files that are to replace others.
	temporaryMark = ".tmp"
)

// folders are the membership folders of one data directory.
type folders struct{ dataDir string }

func (f folders) path(name string) string { return filepath.Join(f.dataDir, name) }

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// replace puts the folder named from in the place of the present membership.
// A crash at any step is finished by settle.
func (f folders) replace(from string) error {
	if err := os.RemoveAll(f.path(formerFolder)); err != nil {
		return fmt.Errorf("clear former membership: %w", err)
	}
	err := os.Rename(f.path(memberFolder), f.path(formerFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set membership aside: %w", err)
	}
	if err := os.Rename(f.path(from), f.path(memberFolder)); err != nil {
		return fmt.Errorf("put new membership in place: %w", err)
	}
	syncDir(f.dataDir)
	return removeFile(filepath.Join(f.path(memberFolder), readyFile))
}

// settle finishes what a crash left: a prepared membership takes the place of
// the present one; where none stands, the former one comes back.
func (f folders) settle() error {
	for _, name := range []string{joiningFolder, freshFolder} {
		if ready, err := exists(filepath.Join(f.path(name), readyFile)); err != nil {
			return err
		} else if ready {
			if err := f.replace(name); err != nil {
				return err
			}
			return f.tidy()
		}
	}
	stands, err := exists(f.path(memberFolder))
	if err != nil {
		return err
	}
	if stands {
		return f.tidy()
	}
	if former, err := exists(f.path(formerFolder)); err != nil || !former {
		return err
	}
	if err := os.Rename(f.path(formerFolder), f.path(memberFolder)); err != nil {
		return fmt.Errorf("put former membership back: %w", err)
	}
	syncDir(f.dataDir)
	return nil
}

// tidy removes what a crash left that nothing goes on with: secrets are in it.
func (f folders) tidy() error {
	gone := []string{freshFolder}
	for name, of := range map[string]string{formerFolder: memberFolder, joiningFolder: joiningFolder} {
		intended, err := exists(filepath.Join(f.path(of), intentFile))
		if err != nil {
			return err
		}
		if !intended {
			gone = append(gone, name)
		}
	}
	return errors.Join(f.clear(gone...), f.clearTemporary())
}

// clearTemporary removes what a crash left of files that were being replaced:
// an intent has a token in it.
func (f folders) clearTemporary() error {
	var errs []error
	for _, name := range []string{memberFolder, joiningFolder} {
		entries, err := os.ReadDir(f.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && strings.Contains(e.Name(), temporaryMark) {
				errs = append(errs, removeFile(filepath.Join(f.path(name), e.Name())))
			}
		}
	}
	return errors.Join(errs...)
}

// markReady tells that the folder named name is complete and may take the
// place of the present membership.
func (f folders) markReady(name string) error {
	return writeAtomic(filepath.Join(f.path(name), readyFile), nil)
}

// clear removes folders that are needed no more.
func (f folders) clear(names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(f.path(name)))
	}
	return errors.Join(errs...)
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
