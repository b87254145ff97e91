// Package stage sets up what the benchmarks of capacity, start, memory and
// amplification share: an origin with a ledger, real node processes of one
// drive each, and clients on raw connections that keep little memory of their
// own and check the bytes.
package stage
