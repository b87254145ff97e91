package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// agent is what the Windows agent calls itself (docs/clients.md section 3).
const agent = "Microsoft-Delivery-Optimization/10.1"

// patience bounds the wait for one answer's head, and for each of its bytes.
const patience = 30 * time.Second

// Client is one connection, used by one goroutine.
type Client struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

// Dial connects to a node. receive is the size of the kernel's buffer for what
// comes in, 0 = the system's own.
func Dial(ctx context.Context, addr string, receive int) (*Client, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && receive > 0 {
		_ = tcp.SetReadBuffer(receive)
	}
	return &Client{addr: addr, conn: conn, in: bufio.NewReaderSize(conn, 4096)}, nil
}

// Close ends the connection, also under a read.
func (c *Client) Close() { _ = c.conn.Close() }

// Ask sends the request for span of path, all of it where span is empty, and
// returns the answer, whose body is to be read before the next request.
func (c *Client) Ask(path string, span storage.Span) (*http.Response, error) {
	c.Wait()
	text := "GET " + path + "?cacheHostOrigin=" + Host + " HTTP/1.1\r\nHost: " + c.addr + "\r\nUser-Agent: " + agent + "\r\n"
	want := http.StatusOK
	if !span.Empty() {
		want = http.StatusPartialContent
		text += fmt.Sprintf("Range: bytes=%d-%d\r\n", span.Off, span.End-1)
	}
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want || !span.Empty() && resp.ContentLength != span.Len() {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s of %d bytes, not %d of %d", resp.Status, resp.ContentLength, want, span.Len())
	}
	return resp, nil
}

// errWrong tells that a node sent other bytes than the origin has.
var errWrong = errors.New("wrong byte")

// Get reads span of the object at path, checking its bytes where check is set,
// and returns what Cache-Status said of it.
func (c *Client) Get(path string, span storage.Span, check bool) (status string, err error) {
	resp, err := c.Ask(path, span)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if c.buf == nil {
		c.buf = make([]byte, 64<<10)
	}
	for off := span.Off; off < span.End; {
		c.Wait()
		n, err := io.ReadFull(resp.Body, c.buf[:min(int64(len(c.buf)), span.End-off)])
		if err != nil {
			return "", fmt.Errorf("after %d of %d bytes: %w", off-span.Off+int64(n), span.Len(), err)
		}
		if check {
			if at := faultorigin.Check(c.buf[:n], path, faultorigin.DefaultVersion, off); at >= 0 {
				return "", fmt.Errorf("%w at %d of %s", errWrong, at, path)
			}
		}
		off += int64(n)
	}
	return resp.Header.Get("Cache-Status"), nil
}

// Wait gives the node as long again for the bytes that are read next.
func (c *Client) Wait() { _ = c.conn.SetDeadline(time.Now().Add(patience)) }
