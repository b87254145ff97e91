package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
)

// ValidatorKind says what tells one version of an object from another, and so
// whether separate answers of the origin may be joined into one copy.
type ValidatorKind uint8

// The kinds of validator. Their numbers are part of the disk format.
const (
	// ValidatorNone: nothing tells versions apart; every answer is a version
	// of its own (Nonce) and the object is filled whole from one answer.
	ValidatorNone ValidatorKind = iota
	// ValidatorETag: a strong ETag (RFC 9110 section 8.8.3).
	ValidatorETag
	// ValidatorLastModified: a Last-Modified that is strong because it was at
	// least 60 s old when sent (RFC 9110 section 8.8.2.2).
	ValidatorLastModified
	// ValidatorLastModifiedLength: Last-Modified and length, by a rule of the
	// catalogue (edges of one CDN disagree on ETag).
	ValidatorLastModifiedLength
	// ValidatorImmutable: the rule says that the path never changes; only the
	// length is compared.
	ValidatorImmutable
)

// Version is one state of an object, told by its validator. Versions of one
// object are equal when their IDs are.
type Version struct {
	Kind ValidatorKind
	// ETag and LastModified are the header values as the origin sent them,
	// empty where it sent none. Which of them count follows from Kind.
	ETag         string
	LastModified string
	// Size is the object's length in bytes; -1 while it is unknown.
	Size int64
	// Nonce tells answers apart where Kind is ValidatorNone, else 0.
	Nonce uint64
	// Variant is the key of the Vary headers that selected this
	// representation; empty for none.
	Variant string
	// Mark is the ID of the newest purge that hit the object before this
	// version was fetched; empty for none. So bytes from before a purge are
	// another version, whatever validator the origin sends.
	Mark string
}

// VersionID is a digest of what tells a version apart, for keys and names.
type VersionID [8]byte

// String returns the id in hexadecimal.
func (id VersionID) String() string { return fmt.Sprintf("%x", id[:]) }

// ID returns the digest of the fields that count under v.Kind.
func (v Version) ID() VersionID {
	etag, lastModified, nonce := "", "", uint64(0)
	switch v.Kind {
	case ValidatorETag:
		etag = v.ETag
	case ValidatorLastModified, ValidatorLastModifiedLength:
		lastModified = v.LastModified
	case ValidatorNone:
		nonce = v.Nonce
	case ValidatorImmutable:
	}
	var space [256]byte // longer ones are put on the heap
	b := strconv.AppendUint(space[:0], uint64(v.Kind), 10)
	b = appendPart(append(b, ','), etag)
	b = appendPart(append(b, ','), lastModified)
	b = strconv.AppendInt(append(b, ','), v.Size, 10)
	b = strconv.AppendUint(append(b, ','), nonce, 10)
	b = appendPart(append(b, ','), v.Variant)
	if v.Mark != "" { // ids from before there were marks stay
		b = appendPart(append(b, ','), v.Mark)
	}
	sum := sha256.Sum256(b)
	return VersionID(sum[:8])
}

// appendPart appends s with its length before it, so that no two sets of parts
// give the same text.
func appendPart(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

// Strong reports whether bytes of separate answers with this version may be
// joined.
func (v Version) Strong() bool { return v.Kind != ValidatorNone }

// ChunkKey names the bytes of one chunk of one version.
type ChunkKey struct {
	Object  ObjectID
	Version VersionID
	Index   uint32
}

// String returns the three parts, for logs.
func (k ChunkKey) String() string { return fmt.Sprintf("%s/%s/%d", k.Object, k.Version, k.Index) }

// PlacementHash returns the number by which the ring places chunk index of
// object id: a function of these two alone, never of the version, so that all
// versions of a chunk meet at one owner.
func PlacementHash(id ObjectID, index uint32) uint64 {
	// ObjectID is uniform already (SHA-256); the finalizer of MurmurHash3
	// spreads the index over all bits.
	h := binary.LittleEndian.Uint64(id[:8]) ^ (binary.LittleEndian.Uint64(id[8:]) + 0x9e3779b97f4a7c15*(uint64(index)+1))
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
