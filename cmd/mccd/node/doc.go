// Package node is the composition root: it builds every part of a node in one
// straight line, runs the parts and stops them in order. The binary and the
// tests start nodes with it; nobody else builds parts.
package node
