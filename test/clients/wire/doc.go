// Package wire is HTTP/1.1 as the clients of docs/clients.md see it: heads with
// their names as they came, since one client matches them case by case; bodies
// by length, chunks or the connection's end; and the rule by which a transfer
// that is too slow for too long is given up. net/http makes names canonical and
// so cannot play these clients.
package wire
