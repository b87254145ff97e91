// Package amplify measures what a cluster asks of a CDN beside what clients
// asked of it: bytes the origin sent, divided by the union of the ranges asked
// for, rounded to pieces of 1 MiB. 1.00 is a cluster that fetches everything
// once and nothing more.
package amplify
