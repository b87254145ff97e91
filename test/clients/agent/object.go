package agent

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// PieceSize is the Windows agent's.
const PieceSize = 1 << 20

// Object is what is downloaded, and what right bytes are.
type Object struct {
	// Host and Path name it at its origin; Path may carry a query.
	Host, Path string
	Size       int64
	// Versions are all that the origin ever had under this name.
	Versions []Version
}

// Version holds the digests of one version, as a client has them from metadata.
type Version struct {
	Name   string
	Whole  [sha256.Size]byte
	Pieces [][sha256.Size]byte
}

// Digest reads size bytes and returns their version.
func Digest(name string, r io.Reader, size int64) (Version, error) {
	v := Version{Name: name}
	whole := sha256.New()
	for off := int64(0); off < size; off += PieceSize {
		piece := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(whole, piece), r, min(PieceSize, size-off)); err != nil {
			return v, fmt.Errorf("digest at byte %d: %w", off, err)
		}
		v.Pieces = append(v.Pieces, [sha256.Size]byte(piece.Sum(nil)))
	}
	v.Whole = [sha256.Size]byte(whole.Sum(nil))
	return v, nil
}

// Find returns the name of the version with this digest.
func (o *Object) Find(whole [sha256.Size]byte) (string, bool) {
	for _, v := range o.Versions {
		if v.Whole == whole {
			return v.Name, true
		}
	}
	return "", false
}

// CachePath returns the path and query by which a cache is asked: cacheHostOrigin
// comes last (docs/clients.md section 1).
func CachePath(path, host string) string {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return path + sep + "cacheHostOrigin=" + host
}
