// Package httpcache holds the decisions of RFC 9111 as pure functions: what
// may be stored, how long an answer is fresh, which validator tells versions
// apart, which header fields are kept, and what a Content-Range says. It does
// no I/O, reads no clock and is safe for concurrent use.
package httpcache
