package main

import (
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

const (
	mib = 1 << 20
	// cdn is a host of the built-in catalogue; the rule of the soak stands
	// before it.
	cdn = "au.download.windowsupdate.com"
	// objectMiB is the size of every object.
	objectMiB = 64
	// runPieces is how many pieces of 1 MiB a client takes in a row.
	runPieces = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// content is all objects; a piece's checksum is computed when it is first
// asked for.
type content struct {
	paths []string
	sums  []atomic.Uint64 // of piece i; 0 = not known yet, else 1<<32 | sum
}

func newContent(totalMiB int) *content {
	n := max(1, totalMiB/objectMiB)
	c := &content{sums: make([]atomic.Uint64, n*objectMiB)}
	for i := range n {
		c.paths = append(c.paths, fmt.Sprintf("/filestreamingservice/files/soak-%04d", i))
	}
	return c
}

func (c *content) objects() []faultorigin.Object {
	out := make([]faultorigin.Object, len(c.paths))
	for i, path := range c.paths {
		out[i] = faultorigin.Object{Path: path, Size: objectMiB * mib}
	}
	return out
}

// pieces is the number of pieces of all objects.
func (c *content) pieces() int { return len(c.sums) }

// of returns the object and the span of piece i.
func (c *content) of(i int) (path string, span storage.Span) {
	off := int64(i%objectMiB) * mib
	return c.paths[i/objectMiB], storage.Span{Off: off, End: off + mib}
}

// right reports whether sum is that of piece i.
func (c *content) right(i int, sum uint32) bool {
	known := c.sums[i].Load()
	if known == 0 {
		path, span := c.of(i)
		p := make([]byte, span.Len())
		faultorigin.Fill(p, path, faultorigin.DefaultVersion, span.Off)
		known = 1<<32 | uint64(crc32.Checksum(p, castagnoli))
		c.sums[i].Store(known)
	}
	return uint32(known) == sum
}
