package http1

import (
	"io"
	"net/http"
	"strconv"
)

// bufferSize is how much of a response is held back to leave in one write: its
// head, and what is small of its body.
const bufferSize = 4 << 10

// response is the http.ResponseWriter of a conn.
type response struct {
	c      *conn
	header http.Header
	status int // 0: WriteHeader was not called yet
	// late holds the header of a response whose length is not told: its head
	// waits for the buffer to be full or the handler to return.
	late http.Header
	// buf points to what is not sent yet; nil when there is nothing.
	buf     *[]byte
	body    []byte // the small body of a late head
	length  int64  // as told; -1 = not
	written int64
	chunked bool
	bare    bool // HEAD and statuses without a body
	close   bool // the connection ends with this response
	err     error
}

func (w *response) reset() {
	clear(w.header)
	w.status, w.late, w.body, w.length, w.written = 0, nil, nil, -1, 0
	w.chunked, w.bare, w.close, w.err = false, false, w.c.req.Close, nil
}

// release gives the buffer back.
func (w *response) release() {
	if w.buf != nil {
		*w.buf = (*w.buf)[:0]
		w.c.s.heads.Put(w.buf)
		w.buf = nil
	}
}

// Header returns what WriteHeader sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader makes the head; it leaves with the body's first bytes, or by
// Flush. Only the first call counts, and informational statuses do not.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	none := status == http.StatusNoContent || status == http.StatusNotModified
	w.bare = none || w.c.req.Method == http.MethodHead
	if told := w.header["Content-Length"]; len(told) > 0 {
		n, err := strconv.ParseInt(told[0], 10, 64)
		if err != nil || n < 0 || len(told) > 1 {
			delete(w.header, "Content-Length") // as net/http does
		} else {
			w.length = n
		}
	}
	if w.length < 0 && !none {
		w.late = w.header.Clone()
		return
	}
	w.head(w.header)
}

// sendLate makes a late head for what is known of the body; ended tells that
// nothing follows.
func (w *response) sendLate(ended bool) {
	h := w.late
	w.late = nil
	body := w.body
	w.body = nil
	switch {
	case ended && (!w.bare || len(body) > 0):
		w.length = int64(len(body))
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	case !w.bare:
		w.chunked = true
	}
	w.head(h)
	if !w.bare {
		w.append(body)
	}
}

// Write sends p as a part of the body.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, nil
	case w.bare && w.c.req.Method != http.MethodHead:
		return 0, http.ErrBodyNotAllowed
	case w.err != nil:
		return 0, w.err
	}
	if w.written += int64(len(p)); w.length >= 0 && w.written > w.length {
		return 0, http.ErrContentLength // and the response is not whole any more
	}
	switch {
	case w.bare && w.late == nil:
		return len(p), nil
	case w.late != nil && len(w.body)+len(p) <= bufferSize/2:
		w.body = append(w.body, p...)
		return len(p), nil
	case w.late != nil:
		w.sendLate(false)
	}
	if w.bare {
		return len(p), w.err
	}
	n := w.append(p)
	return n, w.err
}

// append sends p, or holds it back where it is small, and returns how much of it.
func (w *response) append(p []byte) int {
	if len(p) == 0 || w.err != nil {
		return 0
	}
	n := len(p)
	buf := w.buffer()
	if w.chunked {
		*buf = strconv.AppendInt(*buf, int64(len(p)), 16)
		*buf = append(*buf, "\r\n"...)
	}
	if len(*buf)+len(p)+2 > bufferSize {
		if w.send(); w.err != nil {
			return 0
		}
		if n, w.err = w.c.rwc.Write(p); !w.chunked {
			return n
		}
		buf = w.buffer()
	} else {
		*buf = append(*buf, p...)
	}
	if w.chunked {
		*buf = append(*buf, "\r\n"...)
	}
	return n
}

// buffer returns what is held back, for more.
func (w *response) buffer() *[]byte {
	if w.buf == nil {
		if b, ok := w.c.s.heads.Get().(*[]byte); ok {
			w.buf = b
		} else {
			b := make([]byte, 0, bufferSize)
			w.buf = &b
		}
	}
	return w.buf
}

// send sends what is held back, in one write.
func (w *response) send() {
	if w.buf == nil {
		return
	}
	if w.err == nil && len(*w.buf) > 0 {
		_, w.err = w.c.rwc.Write(*w.buf)
	}
	w.release()
}

// FlushError sends what is held back.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.late != nil {
		w.sendLate(false)
	}
	w.send()
	return w.err
}

// Flush sends what is held back.
func (w *response) Flush() { _ = w.FlushError() }

// ReadFrom sends src as a part of the body. Where its length was told, the
// connection gets src as it is, and may send it by sendfile.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	to, ok := w.c.rwc.(io.ReaderFrom)
	if !ok || w.bare || w.length < 0 {
		return io.Copy(writer{w}, src)
	}
	if w.send(); w.err != nil {
		return 0, w.err
	}
	var n int64
	n, w.err = to.ReadFrom(src)
	w.written += n
	return n, w.err
}

// writer hides ReadFrom from io.Copy.
type writer struct{ io.Writer }

// finish sends the rest and reports whether the connection can be used again.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.late != nil {
		w.sendLate(true)
	}
	if w.chunked {
		buf := w.buffer()
		*buf = append(*buf, "0\r\n\r\n"...)
	}
	w.send()
	whole := w.bare || w.length < 0 || w.written == w.length
	return w.err == nil && whole && !w.close
}
