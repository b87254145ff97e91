// Package storage holds the nouns that every room of mccd shares: what a
// request names (Ref), the object and its version, the chunk, the block and
// the span, and the rules by which an origin is served. It does no I/O and
// imports nothing of mccd.
package storage
