package wire

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	tlsHandshake = 0x16 // the first byte of a TLS connection
	plainLine    = "mccd: this port speaks TLS between nodes; clients use port 80\n"
	plainDrain   = 64 << 10
	plainPause   = time.Second // for last words
)

// turnAway tells a caller without TLS where to go, in its own language where
// that is HTTP.
func turnAway(c net.Conn, first []byte) {
	answer := plainLine
	if looksLikeHTTP(first) {
		answer = fmt.Sprintf("HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(plainLine), plainLine)
	}
	// Nothing depends on whether it gets there.
	_ = c.SetDeadline(time.Now().Add(plainPause))
	if _, err := io.WriteString(c, answer); err != nil {
		return
	}
	lingerOver(c)
}

// lingerOver lets the last words reach the other end: a close with unread
// bytes would reset the connection and lose them.
func lingerOver(c net.Conn) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || c.SetDeadline(time.Now().Add(plainPause)) != nil || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, plainDrain)
}

// looksLikeHTTP reports whether the bytes may begin an HTTP request: a method
// in capitals, as much of it as is there.
func looksLikeHTTP(first []byte) bool {
	method, _, ended := bytes.Cut(first[:min(len(first), 16)], []byte(" "))
	for _, c := range method {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(method) >= 3 && (ended || len(method) < 16)
}
