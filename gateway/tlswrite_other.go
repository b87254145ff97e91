//go:build !linux

package gateway

import "time"

// lastWords is how long the end of a connection waits for the socket.
const lastWords = 10 * time.Millisecond

// writeOf sends what was read of a run.
func (c *conn) writeOf(p []byte, _ *runReader, _ bool) error {
	_, err := c.Write(p)
	return err
}

// tryWrite sends p where the socket takes it nearly at once.
func (c *conn) tryWrite(p []byte) {
	if c.Conn.SetWriteDeadline(time.Now().Add(lastWords)) == nil {
		_, _ = c.Conn.Write(p)
	}
}
