package agent

import (
	"context"
	"errors"

	"github.com/mccd/mccd/test/clients/wire"
)

// Link is one connection at a time to one destination, kept between requests.
// It is used by one goroutine.
type Link struct {
	// Lookup returns the addresses of the destination at this moment.
	Lookup func() []string
	Times  Times

	conn *wire.Conn
}

// Answer is a head whose body has not been read. End is called after it.
type Answer struct {
	*wire.Body
	Head *wire.Head
	Addr string
	link *Link
}

// Ask sends text and reads the head of its answer. A kept connection that ends
// without a byte was closed while idle: the request goes over a fresh one then,
// as HTTP libraries do. Of a name's addresses the first is taken, the next one
// only where that refuses.
func (l *Link) Ask(ctx context.Context, text string) (*Answer, *Failure) {
	if l.conn != nil {
		a, err := l.send(text)
		if err == nil {
			return a, nil
		}
		addr := l.conn.Addr
		l.Close()
		if !errors.Is(err, wire.ErrNoAnswer) || ctx.Err() != nil {
			return nil, failure(addr, err, CauseNoAnswer)
		}
	}
	addrs := l.Lookup()
	if len(addrs) == 0 {
		return nil, &Failure{Cause: CauseNoName}
	}
	var refused *Failure
	for _, addr := range addrs {
		conn, err := wire.Dial(ctx, addr, l.Times.Connect, l.Times.Pace)
		if err != nil {
			if refused = failure(addr, err, CauseRefused); refused.Cause == CauseRefused {
				continue
			}
			return nil, refused
		}
		l.conn = conn
		a, err := l.send(text)
		if err != nil {
			l.Close()
			return nil, failure(addr, err, CauseNoAnswer)
		}
		return a, nil
	}
	return nil, refused
}

func (l *Link) send(text string) (*Answer, error) {
	if err := l.conn.Send(text); err != nil {
		return nil, errors.Join(wire.ErrNoAnswer, err)
	}
	head, err := l.conn.ReadHead()
	if err != nil {
		return nil, err
	}
	return &Answer{Body: l.conn.Body(head), Head: head, Addr: l.conn.Addr, link: l}, nil
}

// End keeps the connection if it can carry another request, and closes it else.
func (a *Answer) End() {
	if !a.Kept() {
		a.link.Close()
	}
}

// Broke says why the body ended before its time.
func (a *Answer) Broke(err error) *Failure {
	f := failure(a.Addr, err, CauseCut)
	f.Status = a.Head.Status
	return f
}

// Close closes the connection, if there is one.
func (l *Link) Close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}
