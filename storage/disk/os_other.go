//go:build !linux

package disk

import (
	"io/fs"
	"math"
	"os"
)

// Without pwritev, memfd and a cheap look into the page cache: bytes are
// written piece by piece, memory files are temporary files, and every read is
// verified.

func writeAll(f *os.File, off int64, bufs [][]byte) error {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

func openChunk(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, 0o600) }

func adviseRandom(*os.File) {}

func forget(*os.File, int64, int64) {}

func memoryFile(string) (*os.File, error) {
	f, err := os.CreateTemp("", "mccd-*")
	if err != nil {
		return nil, err
	}
	// Where an open file cannot be removed, the system's cleaning of its
	// temporary directory does it.
	_ = os.Remove(f.Name())
	return f, nil
}

func resident(*os.File, int64, int64) bool { return false }

func spaceAt(string) (Space, error) {
	return Space{Total: math.MaxInt64, Free: math.MaxInt64}, nil
}

func infoOf(fi fs.FileInfo) Info {
	return Info{Name: fi.Name(), Dir: fi.IsDir(), Bytes: fi.Size(), Size: fi.Size(), Used: fi.ModTime()}
}
