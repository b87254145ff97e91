package faultorigin_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestFillAgreesWithByteAt(t *testing.T) {
	for off := range int64(20) {
		for n := range 40 {
			p := make([]byte, n)
			faultorigin.Fill(p, "/a", "1", off)
			for i := range p {
				if want := faultorigin.ByteAt("/a", "1", off+int64(i)); p[i] != want {
					t.Fatalf("Fill(%d bytes at %d)[%d] = %#x, ByteAt %#x", n, off, i, p[i], want)
				}
			}
		}
	}
}

func TestContentDiffersByPathAndVersion(t *testing.T) {
	read := func(path, version string) []byte {
		p := make([]byte, 64)
		faultorigin.Fill(p, path, version, 0)
		return p
	}
	a := read("/a", "1")
	for _, other := range [][]byte{read("/a", "2"), read("/b", "1"), read("/a1", ""), read("/", "a1")} {
		if bytes.Equal(a, other) {
			t.Error("two streams are equal")
		}
	}
}

func TestSHA256(t *testing.T) {
	p := make([]byte, 200_000)
	faultorigin.Fill(p, "/a", "1", 77)
	if got := faultorigin.SHA256("/a", "1", storage.Span{Off: 77, End: 77 + 200_000}); got != sha256.Sum256(p) {
		t.Error("digest differs from that of the filled bytes")
	}
}

func TestCheckFindsTheFirstWrongByte(t *testing.T) {
	p := make([]byte, 100_000)
	faultorigin.Fill(p, "/a", "1", 5)
	if at := faultorigin.Check(p, "/a", "1", 5); at != -1 {
		t.Fatalf("right bytes: %d", at)
	}
	p[70_001] ^= 1
	if at := faultorigin.Check(p, "/a", "1", 5); at != 70_006 {
		t.Errorf("wrong byte at %d, want 70006", at)
	}
}

func BenchmarkFill(b *testing.B) {
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		faultorigin.Fill(p, "/a", "1", 0)
	}
}
