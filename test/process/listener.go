package process

import (
	"fmt"
	"net"
)

// sendBuffer is small beside what a fetch brings, so that "sent" in an
// origin's ledger means sent, and not kept by the sender's own kernel.
const sendBuffer = 128 << 10

// ListenOrigin listens on a free port of ip for an origin whose ledger counts
// what was written to its connections.
func ListenOrigin(ip string) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the origin: %w", err)
	}
	return originListener{l}, nil
}

type originListener struct{ net.Listener }

// Accept returns the next connection, its buffer made small.
func (l originListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
	return conn, err
}
