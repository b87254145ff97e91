//go:build !linux

package gateway

import (
	"errors"
	"os"
	"time"
)

// transfer has no state where runs are copied.
type transfer struct{}

// receipt has no state where the system's own way is taken.
type receipt struct{}

func (c *conn) prepare() {}

func (c *conn) receive(p []byte) (int, error) { return c.Conn.Read(p) }

func (c *conn) canSendfile() bool { return false }

// writePart bounds one write under the deadline of connLimits.
const writePart = 64 << 10

// Write sends p in parts, each within the window of connLimits.
func (c *conn) Write(p []byte) (int, error) {
	c.corked = false
	sent := 0
	for sent < len(p) {
		if err := c.SetWriteDeadline(time.Now().Add(c.limits.window)); err != nil {
			return sent, err
		}
		n, err := c.Conn.Write(p[sent:min(len(p), sent+writePart)])
		sent += n
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || int64(n) < c.limits.bytes) {
			c.discard()
			return sent, err
		}
	}
	return sent, c.SetWriteDeadline(time.Time{})
}

func (c *conn) sendRun(*runReader) (int64, error) { return 0, errors.ErrUnsupported }
