package presence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// headBytes is more than a chunk file's header and table of blocks.
const headBytes = 16 << 10

// head is the beginning of one file.
type head struct {
	path string // below the drive
	text []byte
	size int64
}

// readHeads reads small files below dir whole, and of large ones the
// beginning. Files that vanish meanwhile are left out.
func readHeads(dir string) ([]head, error) {
	var heads []head
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return ignoreGone(err)
		}
		h, err := readHead(dir, path)
		if err == nil {
			heads = append(heads, h)
		}
		return ignoreGone(err)
	})
	return heads, err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func readHead(dir, path string) (h head, err error) {
	if h.path, err = filepath.Rel(dir, path); err != nil {
		return h, err
	}
	f, err := os.Open(path)
	if err != nil {
		return h, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return h, err
	}
	h.size = info.Size()
	h.text, err = io.ReadAll(io.LimitReader(f, headBytes))
	return h, err
}

// write makes a sparse file of the same length below dir.
func (h head) write(dir string) error {
	path := filepath.Join(dir, h.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := os.WriteFile(path, h.text, 0o600)
	if err == nil {
		err = os.Truncate(path, h.size)
	}
	if err != nil {
		return fmt.Errorf("write head of %s: %w", h.path, err)
	}
	return nil
}
