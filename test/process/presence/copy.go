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
const headBytes = 64 << 10

// copyHeads copies the tree at from to to: small files whole, of large ones
// the beginning, as sparse files of the same length. Files that vanish
// meanwhile are left out; lock files are made anew by whoever opens the copy.
func copyHeads(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		err = copyHead(path, target)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func copyHead(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, io.LimitReader(src, headBytes))
	if err == nil {
		err = dst.Truncate(info.Size())
	}
	if err := errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("copy head of %s: %w", from, err)
	}
	return nil
}
