package cluster

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/wire"
)

// A stream of Raft begins with a preface: magic, cluster id, recovery
// generation of the caller. The other side answers with a verdict and its own
// generation. Logs of two generations must never meet: the node of the lower
// one begins anew, empty, and learns everything from the others.
const (
	prefaceMagic   = "MCCDRFT1"
	prefaceLen     = len(prefaceMagic) + 16 + 4
	verdictLen     = 1 + 4
	prefaceTimeout = 5 * time.Second
)

// The verdicts of a preface.
const (
	prefaceOK byte = iota
	prefaceOther
	prefaceGeneration
	prefaceClosed
)

// errGeneration ends a stream between two recovery generations.
var errGeneration = errors.New("recovery generations differ")

// raftStream carries Raft between the nodes of one membership. Raft's
// addresses are node ids; where a node is now is looked up for each stream.
type raftStream struct {
	m      *membership
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newRaftStream(m *membership) *raftStream {
	return &raftStream{m: m, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept returns the next stream of another node.
func (s *raftStream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (s *raftStream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *raftStream) preface() []byte {
	b := append(make([]byte, 0, prefaceLen), prefaceMagic...)
	cluster, err := hex.DecodeString(s.m.id.Load().ClusterID)
	if err != nil || len(cluster) != 16 {
		cluster = make([]byte, 16)
	}
	return binary.BigEndian.AppendUint32(append(b, cluster...), s.m.state().Generation)
}

// Dial opens a stream to the node id.
func (s *raftStream) Dial(ctx context.Context, id string) (net.Conn, error) {
	addr, ok := s.m.awaited(ctx, id)
	if !ok {
		return nil, fmt.Errorf("node %s: %w", id, errNoAddress)
	}
	conn, err := s.m.c.port.DialNode(ctx, wire.ProtocolRaft, id, addr)
	if err != nil {
		return nil, err
	}
	if err := s.introduce(ctx, conn, id); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("node %s: %w", id, err)
	}
	return conn, nil
}

// awaited is where, and waits a little for a node that joins: it comes soon.
func (m *membership) awaited(ctx context.Context, id string) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, prefaceTimeout)
	defer cancel()
	for {
		addr, ok := m.where(id)
		if ok || ctx.Err() != nil {
			return addr, ok
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func (s *raftStream) introduce(ctx context.Context, conn net.Conn, id string) error {
	deadline := time.Now().Add(prefaceTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(s.preface()); err != nil {
		return err
	}
	var verdict [verdictLen]byte
	if _, err := io.ReadFull(conn, verdict[:]); err != nil {
		return fmt.Errorf("no answer to the preface: %w", err)
	}
	switch verdict[0] {
	case prefaceOK:
		return conn.SetDeadline(time.Time{})
	case prefaceGeneration:
		s.m.sawGeneration(id, binary.BigEndian.Uint32(verdict[1:]))
		return errGeneration
	case prefaceOther:
		return errors.New("it is in another cluster")
	default:
		return errors.New("it does not take part in Raft now")
	}
}

// take answers the preface of a stream that came, and hands it to Raft.
func (s *raftStream) take(conn net.Conn, from string) {
	err := s.answer(conn, from)
	if err == nil {
		select {
		case s.conns <- conn:
			return
		case <-s.closed:
			err = net.ErrClosed
		}
	}
	_ = conn.Close()
	if !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		s.m.c.log.Debug("stream of Raft refused", "from", conn.RemoteAddr().String(), "err", err)
	}
}

func (s *raftStream) answer(conn net.Conn, from string) error {
	if err := conn.SetDeadline(time.Now().Add(prefaceTimeout)); err != nil {
		return err
	}
	own := s.preface()
	theirs := make([]byte, prefaceLen)
	if _, err := io.ReadFull(conn, theirs); err != nil {
		return err
	}
	at := prefaceLen - 4
	verdict, refusal := prefaceOK, error(nil)
	switch generation := binary.BigEndian.Uint32(theirs[at:]); {
	case string(theirs[:at]) != string(own[:at]):
		verdict, refusal = prefaceOther, errors.New("another cluster, or not a preface")
	case s.m.raft == nil:
		verdict, refusal = prefaceClosed, errors.New("no replicated state here")
	case s.m.state().ClusterID == "", s.m.raft.Quorum().LastIndex == 0:
		// Nothing is applied yet: this node takes what comes.
	case generation != s.m.state().Generation:
		verdict, refusal = prefaceGeneration, errGeneration
		defer s.m.sawGeneration(from, generation)
	}
	if _, err := conn.Write(binary.BigEndian.AppendUint32([]byte{verdict}, s.m.state().Generation)); err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	return conn.SetDeadline(time.Time{})
}
