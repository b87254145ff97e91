// Package peerfill measures the path between nodes: 8 MiB chunks from the chunk
// files of one node into those of another over the real port with mutual TLS,
// beside HTTP/1.1 over the same TLS that moves files of the same size by
// io.Copy. Both ends of both run in this process and take turns, so that their
// CPU seconds compare.
package peerfill
