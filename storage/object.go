package storage

import (
	"net/http"
	"time"
)

// Object is what a node knows of one version of an object: the record kept by
// its home and cached by others. It is immutable once published.
type Object struct {
	ID ObjectID
	// Host and Path say which URL it was, for people; never a query.
	Host, Path string
	Version    Version
	// Header holds the origin's end-to-end response headers that go on to
	// clients, without Content-Length, Content-Range, Date, Age and
	// hop-by-hop ones. Readers must not change it.
	Header http.Header
	// ValidatedAt is when the origin last confirmed this version, by this
	// node's clock.
	ValidatedAt time.Time
	// FreshFor is how long after ValidatedAt it may be served without asking
	// again; 0 = it is revalidated at each request.
	FreshFor time.Duration
	// Whole names the node that fills this object whole, from one answer,
	// because its origin ignores Range or gives no strong validator; that
	// node owns all its chunks. Empty for all others.
	Whole string
	// Registration is the home's registration counter, which orders records.
	Registration uint64
	// Past are the versions before this one, the latest first; see After.
	Past []Past
	// Stamp tells by which purges the object was judged: sampled before the
	// origin was asked, or newer where it was judged alive since.
	Stamp Stamp
}

// Ref returns what names o as far as a record tells: without scheme and query.
func (o *Object) Ref() Ref { return Ref{Host: o.Host, Path: o.Path} }

// Size returns the object's length in bytes, -1 when unknown.
func (o *Object) Size() int64 { return o.Version.Size }

// Fresh reports whether o may be served at now without asking the origin.
func (o *Object) Fresh(now time.Time) bool {
	return o.FreshFor > 0 && now.Sub(o.ValidatedAt) < o.FreshFor
}

// Key returns the key of chunk index of this version.
func (o *Object) Key(index uint32) ChunkKey {
	return ChunkKey{Object: o.ID, Version: o.Version.ID(), Index: index}
}
