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
// generation and recovery id of the caller. The other side answers with a
// verdict and its own generation and id. Logs of two generations must never
// meet: the node of the lower one begins anew, empty, and learns everything
// from the others. Logs of two recoveries of one generation must not either,
// and neither gives way.
const (
	prefaceMagic   = "MCCDRFT2"
	recoveryLen    = 8
	generationLen  = 4 + recoveryLen
	prefaceLen     = len(prefaceMagic) + 16 + generationLen
	verdictLen     = 1 + generationLen
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
	return s.m.appendGeneration(append(b, cluster...))
}

// appendGeneration appends the generation and the recovery that it is of; no
// recovery is eight zeros.
func (m *membership) appendGeneration(b []byte) []byte {
	st := m.state()
	recovery, err := hex.DecodeString(st.RecoveryID)
	if err != nil || len(recovery) != recoveryLen {
		recovery = make([]byte, recoveryLen)
	}
	return append(binary.BigEndian.AppendUint32(b, st.Generation), recovery...)
}

// parseGeneration reads what appendGeneration wrote, of generationLen.
func parseGeneration(b []byte) (generation uint32, recovery string) {
	if id := b[4:]; string(id) != string(make([]byte, recoveryLen)) {
		recovery = hex.EncodeToString(id)
	}
	return binary.BigEndian.Uint32(b), recovery
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
		generation, recovery := parseGeneration(verdict[1:])
		s.m.sawGeneration(id, generation, recovery)
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
	at := prefaceLen - generationLen
	verdict, refusal := prefaceOK, error(nil)
	generation, recovery := parseGeneration(theirs[at:])
	switch {
	case string(theirs[:at]) != string(own[:at]):
		verdict, refusal = prefaceOther, errors.New("another cluster, or not a preface")
	case s.m.raft == nil:
		verdict, refusal = prefaceClosed, errors.New("no replicated state here")
	case s.m.empty() && generation >= s.m.generation() && (generation != s.m.state().Generation || recovery == s.m.state().RecoveryID):
		// Nothing is applied yet: this node takes what comes, but not what it
		// has given up.
	case string(theirs[at:]) != string(own[at:]), generation < s.m.generation():
		verdict, refusal = prefaceGeneration, errGeneration
		defer s.m.sawGeneration(from, generation, recovery)
	}
	if _, err := conn.Write(append([]byte{verdict}, own[at:]...)); err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	return conn.SetDeadline(time.Time{})
}
