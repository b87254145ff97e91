// Package http1 serves plain HTTP/1.1 clients with little work per request: one
// goroutine per connection, one reused request and response, no deadline, no
// goroutine and hardly an allocation for an answer that is ready. It reads what
// clients of a cache nearly always send, a GET or HEAD without a body, and
// hands every connection over to net/http whose request is anything else, so
// that it decides nothing about odd ones.
package http1
