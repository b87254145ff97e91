package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// membersFile keeps the directory: magic, CRC32C of the rest, Directory.
const (
	membersFile  = "members"
	membersMagic = "MCCDMEM1"
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// sealMembers returns the content of a members file.
func sealMembers(records []record) []byte {
	body := encodeDirectory(records, true)
	b := append([]byte(membersMagic), make([]byte, 4)...)
	binary.LittleEndian.PutUint32(b[len(membersMagic):], castagnoli(body))
	return append(b, body...)
}

// openMembers reads the content of a members file. It never panics.
func openMembers(b []byte) ([]record, error) {
	head := len(membersMagic) + 4
	if len(b) < head || string(b[:len(membersMagic)]) != membersMagic {
		return nil, fmt.Errorf("%w: not a members file", errDirectory)
	}
	if castagnoli(b[head:]) != binary.LittleEndian.Uint32(b[len(membersMagic):]) {
		return nil, fmt.Errorf("%w: wrong checksum", errDirectory)
	}
	records, _, err := decodeDirectory(b[head:])
	return records, err
}

// loadMembers returns what the members file of dir holds, nothing where there
// is none. A damaged file is set aside, and returned as an error to log: the
// node finds the cluster by its seeds, or by an operator's join.
func loadMembers(dir string) ([]record, error) {
	path := filepath.Join(dir, membersFile)
	b, err := readBounded(path, maxEncoded+64)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var records []record
		if records, err = openMembers(b); err == nil {
			return records, nil
		}
	}
	aside := path + ".damaged"
	if rerr := os.Rename(path, aside); rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	return nil, fmt.Errorf("read known members, set aside as %s: %w", aside, err)
}
