package peer

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// curtPeer holds all of an object, and ends each call after one block, as a node
// does whose caller is slow to take what is sent.
type curtPeer struct {
	peerv1.UnimplementedPeerServer
	path  string
	calls atomic.Int64
	// garbled: the blocks are not whole.
	garbled bool
}

func (p *curtPeer) Fill(m *peerv1.FillRequest, s grpc.ServerStreamingServer[peerv1.FillResponse]) error {
	if m.GetMode() == peerv1.FillRequest_MODE_PROBE {
		return s.Send(&peerv1.FillResponse{Presence: &peerv1.Presence{Words: []uint64{^uint64(0), ^uint64(0)}}, Done: true})
	}
	p.calls.Add(1)
	data := make([]byte, storage.BlockSize)
	faultorigin.Fill(data, p.path, "1", m.GetOffset())
	if p.garbled {
		data = data[:100]
	}
	if err := s.Send(&peerv1.FillResponse{Offset: m.GetOffset(), Data: data}); err != nil {
		return err
	}
	if m.GetOffset()+storage.BlockSize >= m.GetEnd() {
		return s.Send(&peerv1.FillResponse{Done: true})
	}
	return errStalled
}

// A node that was too slow to take what came asks again, the owner and a holder
// alike: the bytes are there, and are not fetched once more.
func TestSlowTakerAsksAgain(t *testing.T) {
	for name, test := range map[string]struct {
		owner   int
		garbled bool
		origin  int64
	}{
		"the owner": {owner: 1}, "a holder": {owner: 0},
		"an owner that sends nonsense": {owner: 1, garbled: true, origin: storage.PieceSize},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, func(_ *node, cfg *Config) { cfg.Budget = time.Millisecond })
			path := c.path(test.owner)
			const size = 2 * storage.PieceSize
			c.origin.Add(faultorigin.Object{Path: path, Size: size})
			n := c.nodes[0]
			ctx := within(t, time30)
			if _, err := n.read(ctx, c.request(path, piece(0)), "1"); err != nil { // learns the record
				t.Fatal(err)
			}
			before := c.origin.Ledger().Bytes(path)
			c.kill(1)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			fake, server := &curtPeer{path: path, garbled: test.garbled}, grpc.NewServer()
			peerv1.RegisterPeerServer(server, fake)
			go func() { _ = server.Serve(l) }()
			defer server.Stop()
			c.nodes[1].addr = l.Addr().String()
			c.nodes[1].starts++
			n.look()
			if got, err := n.read(ctx, c.request(path, piece(1)), "1"); err != nil {
				t.Errorf("read %d: %v", got, err)
			}
			if got := c.origin.Ledger().Bytes(path) - before; got != test.origin {
				t.Errorf("the origin sent %d bytes, want %d, after %d calls", got, test.origin, fake.calls.Load())
			}
		})
	}
}
