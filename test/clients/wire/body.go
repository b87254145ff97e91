package wire

import (
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

// Body is what follows a head. Its end is told by a length, by chunks, or by
// the end of the connection; names count in any case here, as for any library
// beneath a client.
type Body struct {
	from io.Reader
	// left is what a length still promises; -1 = none was given.
	left int64
	over bool
	keep bool
}

// Body returns the body of the answer with head h.
func (c *Conn) Body(h *Head) *Body {
	connection, _ := h.Fold("Connection")
	b := &Body{from: c.in, left: -1, keep: !strings.EqualFold(connection, "close")}
	coding, chunked := h.Fold("Transfer-Encoding")
	length, measured := h.Fold("Content-Length")
	switch {
	case h.Status == http.StatusNoContent || h.Status == http.StatusNotModified:
		b.left = 0
	case chunked && strings.EqualFold(coding, "chunked"):
		b.from, b.keep = httputil.NewChunkedReader(c.in), false
	case measured:
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < 0 {
			b.from, b.keep = broken{}, false
			break
		}
		b.left = n
	default:
		b.keep = false
	}
	b.over = b.left == 0
	return b
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errHead }

// Read reads on; io.EOF is the body's own end, any other error a break.
func (b *Body) Read(p []byte) (int, error) {
	if b.over {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
		switch {
		case b.left == 0:
			b.over = true
			return n, nil
		case errors.Is(err, io.EOF):
			return n, io.ErrUnexpectedEOF
		}
	}
	if errors.Is(err, io.EOF) {
		b.over = true
	}
	return n, err
}

// Kept reports whether the connection may carry another request: the body has
// been read to its end, and the other side keeps it open.
func (b *Body) Kept() bool { return b.over && b.keep }
