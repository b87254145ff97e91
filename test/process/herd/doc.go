// Package herd is many clients that read objects through cache nodes the way
// Delivery Optimization agents do: whole files, aligned pieces of 1 MiB over
// one or two streams, a list of nodes of which the next takes over when one
// fails, a pace. Every byte is checked, and what a person wants to know of it
// is counted: failures by node, wrong bytes, first byte, largest gap, sources.
package herd
