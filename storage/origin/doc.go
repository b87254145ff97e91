// Package origin fetches bytes of objects from their CDNs: one try per call,
// closed ranges, a fixed list of headers, and no answer taken on trust. What
// an origin says is checked against what was asked before a byte of it is
// handed on, and a body gives exactly what was promised or an error.
//
// See DESIGN.md in this folder.
package origin
