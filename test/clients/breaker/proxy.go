package breaker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mccd/mccd/test/clients/wire"
)

// Proxy carries requests to one node, by one Rule. All is over when Close
// returns.
type Proxy struct {
	rule     Rule
	node     string
	origin   Origin
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// Origin is what a rule knows of the origin at this moment, for a path without
// its query.
type Origin struct {
	// Addr is where it is reached.
	Addr string
	// Size returns the present length, 0 for none; Changed whether the object
	// is another one than it was at first. They may be called concurrently.
	Size    func(path string) int64
	Changed func(path string) bool
	// Stall is how long a rule that stalls does so.
	Stall time.Duration
}

// New returns a Proxy at a free port of 127.0.0.1 to node ("ip:port").
func New(rule Rule, node string, origin Origin) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{rule: rule, node: node, origin: origin, listener: l, ctx: ctx, cancel: cancel}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends it and all that it carries.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve carries the requests of one connection, one after the other.
func (p *Proxy) serve(client net.Conn) {
	stop := context.AfterFunc(p.ctx, func() { _ = client.Close() })
	defer stop()
	defer func() { _ = client.Close() }()
	in := bufio.NewReader(client)
	var conn *wire.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		x, err := readRequest(in)
		if err != nil {
			return
		}
		x.origin = p.origin
		if p.rule.Request != nil {
			p.rule.Request(x)
		}
		if x.Instead != 0 {
			if !p.instead(client, x.Instead) {
				return
			}
			continue
		}
		addr := p.node
		if x.ToOrigin {
			addr = p.origin.Addr
		}
		if conn == nil || conn.Addr != addr || x.ToOrigin {
			if conn != nil {
				conn.Close()
			}
			if conn, err = wire.Dial(p.ctx, addr, 3*time.Second, wire.Pace{}); err != nil {
				return
			}
		}
		if conn.Send(x.text()) != nil {
			return
		}
		head, err := conn.ReadHead()
		if err != nil || !p.answer(client, conn, x, head) {
			return
		}
	}
}

// instead answers a status without asking the node.
func (p *Proxy) instead(client io.Writer, status int) bool {
	text := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
	if status == http.StatusNoContent {
		text = "HTTP/1.1 204 No Content\r\n\r\n"
	}
	_, err := io.WriteString(client, text)
	return err == nil
}

// answer hands an answer on, broken by the rule; false ends the connection.
func (p *Proxy) answer(client io.Writer, conn *wire.Conn, x *Exchange, head *wire.Head) bool {
	body := conn.Body(head) // before the rule changes what it is framed by
	x.Answer, x.Limit = head, -1
	if p.rule.Answer != nil {
		p.rule.Answer(x)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", head.Status, http.StatusText(head.Status))
	for _, f := range head.Fields {
		fmt.Fprintf(&text, "%s: %s\r\n", f.Name, f.Value)
	}
	text.WriteString("\r\n")
	if _, err := io.WriteString(client, text.String()); err != nil {
		return false
	}
	buf := make([]byte, 16<<10)
	for sent := int64(0); ; {
		limit := buf
		if x.Limit >= 0 {
			limit = buf[:min(int64(len(buf)), x.Limit-sent)]
			if len(limit) == 0 {
				return !x.Cut && body.Kept()
			}
		}
		n, err := body.Read(limit)
		if n > 0 {
			if x.Stall > 0 && sent > 0 {
				if !sleep(p.ctx, x.Stall) {
					return false
				}
				x.Stall = 0
			}
			if !p.write(client, limit[:n], x.Chunked) {
				return false
			}
			sent += int64(n)
		}
		switch {
		case err == io.EOF: //nolint:errorlint // as io.Reader says
			if x.Chunked {
				_, err := io.WriteString(client, "0\r\n\r\n")
				return err == nil && body.Kept()
			}
			return body.Kept()
		case err != nil:
			return false
		}
	}
}

func (p *Proxy) write(client io.Writer, b []byte, chunked bool) bool {
	if chunked {
		if _, err := fmt.Fprintf(client, "%x\r\n", len(b)); err != nil {
			return false
		}
		b = append(append([]byte(nil), b...), "\r\n"...)
	}
	_, err := client.Write(b)
	return err == nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
