// Package memory measures what one node keeps in memory with 25,000 chunks on
// its drive and 1,000 clients at work, slow readers among them: while they
// read what is there, and while they all want what is not.
package memory
