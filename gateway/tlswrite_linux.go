package gateway

import "golang.org/x/sys/unix"

// writeOf is Write of what was read of r, nil of none: while the client takes
// nothing, r lets go of its run. With more the last segment waits for what
// follows.
func (c *conn) writeOf(p []byte, r *runReader, more bool) error {
	if c.raw == nil {
		_, err := c.Conn.Write(p)
		return err
	}
	c.tx.buf, c.tx.flags = p, unix.MSG_NOSIGNAL
	if more {
		c.tx.flags |= unix.MSG_MORE
	}
	c.tx.restful = r != nil && r.from != nil && !r.rested
	err := c.pump(c.tx.write)
	c.tx.restful = false
	if err == errRest { //nolint:errorlint // it is ours, and never wrapped
		r.from.Rest()
		r.rested = true
		c.tx.flags &^= unix.MSG_MORE
		err = c.pump(c.tx.write)
	}
	c.tx.buf = nil
	return err
}

// tryWrite sends p where the socket takes it at once.
func (c *conn) tryWrite(p []byte) {
	if c.raw == nil {
		return
	}
	_ = c.raw.Control(func(fd uintptr) {
		_ = unix.Send(int(fd), p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
}
