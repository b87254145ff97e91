package peer

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
)

// lane is one of a link's connections: one goroutine at each end ciphers what
// goes over it, so that one alone keeps to one processor. It is dialled at its
// first use.
type lane struct {
	conn   *grpc.ClientConn
	client peerv1.PeerClient
	// streams counts the fills in progress.
	streams atomic.Int32
	// heard is when anything last came over it, by monotonic; out tells that a
	// fill waited for that in vain, while others were heard.
	heard atomic.Int64
	out   atomic.Bool
}

// lanes are the connections of one link, at least one. Whatever is not a fill
// goes over the first.
type lanes []*lane

func newLanes(n int, addr string, creds hearing, dial func(context.Context, string) (net.Conn, error)) (lanes, error) {
	all := make(lanes, n)
	for i := range all {
		all[i] = new(lane)
		own := creds
		own.lane = all[i]
		conn, err := grpc.NewClient("passthrough:///"+addr, dialOptions(&own, dial)...)
		if err != nil {
			all[:i].close()
			return nil, fmt.Errorf("dial peer %s: %w", addr, err)
		}
		all[i].conn, all[i].client = conn, peerv1.NewPeerClient(conn)
	}
	return all, nil
}

// take returns the lane with the fewest fills, the first of several, so that a
// quiet link keeps to one connection. A lane that is wanted and not connected is
// dialled for those that come later: no fill waits for it. One that is out is not
// taken while there is another. give ends what take began.
func (all lanes) take() *lane {
	best := all[0]
	for _, l := range all[1:] {
		if best.streams.Load() == 0 && !best.out.Load() {
			break
		}
		if l.conn.GetState() != connectivity.Ready {
			l.conn.Connect()
			break
		}
		if !l.out.Load() && (best.out.Load() || l.streams.Load() < best.streams.Load()) {
			best = l
		}
	}
	best.streams.Add(1)
	return best
}

func (l *lane) give() { l.streams.Add(-1) }

// close ends all connections and the calls on them.
func (all lanes) close() {
	for _, l := range all {
		_ = l.conn.Close() // nothing is left to lose
	}
}
