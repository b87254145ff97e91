package faultorigin

import (
	"crypto/sha256"
	"encoding/binary"
	"io"

	"github.com/mccd/mccd/storage"
)

// golden is 2^64 divided by the golden ratio, the step of SplitMix64.
const golden = 0x9e3779b97f4a7c15

// seed returns where the stream of (path, version) begins.
func seed(path, version string) uint64 {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(path)))
	h.Write(n[:])
	h.Write([]byte(path))
	h.Write([]byte(version))
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// word returns the eight bytes at offset 8*i as a little-endian number: the
// i-th output of SplitMix64.
func word(seed uint64, i uint64) uint64 {
	z := seed + i*golden
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// ByteAt returns the byte at off of the given version of path.
func ByteAt(path, version string, off int64) byte {
	return byte(word(seed(path, version), uint64(off)/8) >> (8 * (uint64(off) % 8)))
}

// Fill sets p to the bytes from off on of the given version of path. It does
// more than 1 GB/s and is safe for concurrent use.
func Fill(p []byte, path, version string, off int64) { fill(p, seed(path, version), off) }

func fill(p []byte, s uint64, off int64) {
	i, skip := uint64(off)/8, uint64(off)%8
	if skip != 0 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word(s, i))
		n := copy(p, b[skip:])
		p, i = p[n:], i+1
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, word(s, i))
		p, i = p[8:], i+1
	}
	if len(p) > 0 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word(s, i))
		copy(p, b[:])
	}
}

// SHA256 returns the digest of the given bytes of the given version of path.
func SHA256(path, version string, span storage.Span) [sha256.Size]byte {
	h, s, buf := sha256.New(), seed(path, version), make([]byte, 64<<10)
	for off := span.Off; off < span.End; {
		n := min(int64(len(buf)), span.End-off)
		fill(buf[:n], s, off)
		h.Write(buf[:n])
		off += n
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Check returns the offset in the object of the first byte of p that is not
// the byte of the given version of path, where p begins at off; -1 if p is
// right.
func Check(p []byte, path, version string, off int64) int64 {
	s, buf := seed(path, version), make([]byte, min(len(p), 32<<10))
	for at := 0; at < len(p); {
		n := min(len(buf), len(p)-at)
		fill(buf[:n], s, off+int64(at))
		if string(buf[:n]) != string(p[at:at+n]) {
			for i := range n {
				if buf[i] != p[at+i] {
					return off + int64(at+i)
				}
			}
		}
		at += n
	}
	return -1
}

// generated serves the bytes of one version of one path as a file.
type generated struct {
	seed uint64
	size int64
}

// ReadAt implements io.ReaderAt.
func (g generated) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, g.size-off)))
	fill(p[:n], g.seed, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
