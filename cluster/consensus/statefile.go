package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mccd/mccd/cluster/state"
)

// The file of the last State: magic, CRC32C of the rest, the State.
const stateMagic = "MCCDSTA1"

func sealState(st *state.State) []byte {
	body := state.Marshal(st)
	b := binary.LittleEndian.AppendUint32([]byte(stateMagic), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(b, body...)
}

// openState reads the content of a state file. It never panics.
func openState(b []byte) (*state.State, error) {
	head := len(stateMagic) + 4
	if len(b) < head || string(b[:len(stateMagic)]) != stateMagic {
		return nil, fmt.Errorf("%w: not a state file", state.ErrInvalid)
	}
	body := b[head:]
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(b[len(stateMagic):]) {
		return nil, fmt.Errorf("%w: wrong checksum", state.ErrInvalid)
	}
	return state.Unmarshal(body)
}

// loadState returns the State of a file, an empty one where there is none. A
// damaged file is set aside: aside says so and the State is empty. One of a
// newer release is an error.
func loadState(path string) (st *state.State, aside, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &state.State{}, nil, nil
	}
	if err == nil && info.Size() > state.MaxState+64 {
		err = fmt.Errorf("%w: %d bytes", state.ErrInvalid, info.Size())
	}
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(path); err == nil {
			if st, err = openState(b); err == nil {
				return st, nil, nil
			}
		}
	}
	if !errors.Is(err, state.ErrInvalid) {
		return nil, nil, fmt.Errorf("read the last state: %w", err)
	}
	damaged := path + ".damaged"
	if rerr := os.Rename(path, damaged); rerr != nil {
		return nil, nil, errors.Join(err, rerr)
	}
	return &state.State{}, fmt.Errorf("read the last state, set aside as %s: %w", damaged, err), nil
}

// saveState replaces the file as a whole.
func saveState(path string, st *state.State) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return fmt.Errorf("keep the last state: %w", err)
	}
	_, err = f.Write(sealState(st)) // CreateTemp gives 0600
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("keep the last state: %w", err)
	}
	syncDir(filepath.Dir(path))
	return nil
}

// further reports whether a is of a later generation than b, or of the same
// one with a higher index. States of two clusters, or of two
// recoveries of one generation, do not compare: false.
func further(a, b *state.State) bool {
	if a.ClusterID != b.ClusterID && b.ClusterID != "" {
		return false
	}
	return a.Generation > b.Generation || a.Generation == b.Generation && a.RecoveryID == b.RecoveryID && a.Index > b.Index
}
