// Package capacity measures whether the drives of a cluster add up: with a
// working set of 0.6 times their sum, read uniformly at random nodes, the
// origin is to send at most 2 % of what is read once everything was read once.
package capacity
