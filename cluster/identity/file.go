package identity

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFile bounds what is read of a file: authorities take a few hundred bytes.
const maxFile = 1 << 20

// broken says which file is wrong, how, and what helps.
func (f *Folder) broken(name string, err error) error {
	return fmt.Errorf("read %s: %w: restore the folder %s as a whole, or move it away and join again with a new token",
		filepath.Join(f.dir, name), err, f.dir)
}

// read returns the PEM blocks of a file, all of one kind, at least one. A file
// that other users may read is refused. Nothing of its content is in an error.
func (f *Folder) read(name, kind string) ([][]byte, error) {
	path := filepath.Join(f.dir, name)
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, f.broken(name, os.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, f.broken(name, errors.New("not a file"))
	}
	if openToOthers(info.Mode()) {
		return nil, fmt.Errorf("read %s: %w: run chmod 600 %s, and rotate what it held if somebody may have read it", path, ErrOpenToOthers, path)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxFile {
		return nil, f.broken(name, errors.New("too long"))
	}
	var blocks [][]byte
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != kind {
			return nil, f.broken(name, fmt.Errorf("it holds a %q where a %q belongs", block.Type, kind))
		}
		blocks = append(blocks, block.Bytes)
	}
	if len(blocks) == 0 {
		return nil, f.broken(name, errors.New("it is empty or damaged"))
	}
	return blocks, nil
}

// write replaces a file at once and for good: a temporary one, synced, renamed.
func (f *Folder) write(name string, b []byte) (err error) {
	path := filepath.Join(f.dir, name)
	temp := path + ".tmp"
	defer func() {
		if err != nil {
			_ = os.Remove(temp) // the error is about why it is no good
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	// What a crash left, with whatever mode.
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(b); err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(f.dir)
}

// rename gives a file its name for good.
func (f *Folder) rename(from, to string) error {
	if err := os.Rename(filepath.Join(f.dir, from), filepath.Join(f.dir, to)); err != nil {
		return fmt.Errorf("put %s in its place: %w", to, err)
	}
	return syncDir(f.dir)
}
