// Package breaker is a proxy between clients and a cache node that breaks one
// rule of the contract (docs/clients.md sections 4, 5 and 8) at a time, on
// purpose: what looks for those rules has to notice each of them.
package breaker
