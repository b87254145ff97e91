package peerfill

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/mccd/mccd/cluster/wire"
	"github.com/mccd/mccd/peer"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
)

const objectHost = "cdn.example.com"

// nodes are an owner, which has two objects, and a requester, which reads them
// in turn: while it reads one it drops the other, chunk by chunk, so that memory
// is used again at once, as where a file is written anew.
type nodes struct {
	authority *authority
	objects   [2]*storage.Object
	round     int
	rule      *storage.Rule
	owner     *node
	requester *node
}

// node is the data plane of one node.
type node struct {
	id     string
	port   *wire.Port
	store  *disk.Store
	filler *peer.Filler
	view   *ring.View
	stop   func()
}

// View implements peer.Placement.
func (n *node) View() *ring.View { return n.view }

// noOrigin is the origin of nodes that are to need none.
type noOrigin struct{}

// Fetch implements peer.Origin.
func (noOrigin) Fetch(context.Context, origin.Request) (*origin.Response, error) {
	return nil, errors.New("the origin was asked")
}

// oneRule implements peer.Catalogue.
type oneRule struct{ rule *storage.Rule }

// Lookup returns the one rule.
func (c oneRule) Lookup(host string) (*storage.Rule, bool) { return c.rule, host == objectHost }

// startNodes starts both nodes and fills the owner's chunk files.
func startNodes(ctx context.Context, dir string, chunks int) (*nodes, error) {
	a, err := newAuthority()
	if err != nil {
		return nil, err
	}
	rule := &storage.Rule{Name: "bench", Profile: storage.ProfileDO, Hosts: []string{objectHost}, AllowPrivate: true}
	size := int64(chunks) * storage.ChunkSize
	n := &nodes{authority: a, rule: rule}
	for i := range n.objects {
		ref := storage.Ref{Scheme: "http", Host: objectHost, Path: fmt.Sprintf("/object%d", i)}
		n.objects[i] = &storage.Object{
			ID: ref.ID(), Host: objectHost, Path: ref.Path,
			Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"1"`, Size: size},
			Header:  http.Header{"Etag": {`"1"`}}, ValidatedAt: time.Now(), FreshFor: 24 * time.Hour, Registration: 1,
		}
	}
	places, err := ring.New([]ring.Member{{ID: "owner"}}) // it owns all there is
	if err != nil {
		return nil, err
	}
	if n.owner, err = n.start(dir, "owner", size); err != nil {
		return nil, err
	}
	if n.requester, err = n.start(dir, "requester", size); err != nil {
		n.owner.stop()
		return nil, err
	}
	members := []ring.Node{{ID: "owner", PeerAddr: n.owner.port.Addr().String(), State: ring.Alive, Incarnation: 1}}
	for _, node := range []*node{n.owner, n.requester} {
		node.view = ring.NewView(node.id, 1, places, members)
		if err := node.run(n); err != nil {
			n.stop()
			return nil, err
		}
	}
	if err := n.fillOwner(ctx); err != nil {
		n.stop()
		return nil, err
	}
	return n, nil
}

func (n *nodes) start(dir, id string, size int64) (*node, error) {
	store, err := disk.New(disk.Config{Drives: []disk.Drive{{Path: filepath.Join(dir, id), Size: 3*size + 1<<30}}, MinFree: -1})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	cert, err := n.authority.certificate(id)
	if err == nil {
		var port *wire.Port
		if port, err = wire.New(wire.Config{Listener: listener, Policy: &policy{authority: n.authority, cert: cert}}); err == nil {
			return &node{id: id, port: port, store: store, stop: func() {}}, nil
		}
	}
	return nil, errors.Join(err, listener.Close(), store.Close())
}

// run makes the node's filler and serves until stop.
func (n *node) run(all *nodes) error {
	server := grpc.NewServer(append(peer.ServerOptions(), grpc.Creds(n.port.ServerCredentials()))...)
	var err error
	n.filler, err = peer.New(peer.Config{
		Store: n.store, Records: n.store, Origin: noOrigin{}, Placement: n, Catalogue: oneRule{all.rule},
		Registrar: server, Sever: server.Stop, ClientCredentials: n.port.DialCredentials(),
		Dial: func(ctx context.Context, id, addr string) (net.Conn, error) {
			return n.port.DialNode(ctx, wire.ProtocolGRPC, id, addr)
		},
		Silence: 2 * time.Second, // a busy machine is no failure here
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.port.Run(ctx) })
	wg.Go(func() { _ = server.Serve(n.port.GRPC()) })
	wg.Go(func() { _ = n.store.Run(ctx) })
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		_ = n.filler.Run(ctx)
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		<-filled
		server.Stop()
		_ = n.port.Close()
		wg.Wait()
		_ = n.store.Close()
	})
	return nil
}

func (n *nodes) stop() {
	n.requester.stop()
	n.owner.stop()
}

func (n *nodes) certificates() *tls.Config {
	cert, err := n.authority.certificate("files")
	if err != nil {
		panic(err) // it made two already
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13}
}

// fillOwner writes the objects into the owner's chunk files, and their records
// at both nodes.
func (n *nodes) fillOwner(ctx context.Context) error {
	block := make([]byte, storage.BlockSize)
	for _, o := range n.objects {
		for index := range uint32(o.Size() / storage.ChunkSize) {
			chunk, err := n.owner.store.Create(ctx, o.Key(index), o.Version)
			if err != nil {
				return err
			}
			w, err := chunk.BeginWrite()
			for i := 0; err == nil && i < storage.BlocksPerChunk; i++ {
				scramble(block, int(index)*storage.BlocksPerChunk+i)
				err = w.WriteBlock(i, [][]byte{block})
			}
			if err != nil {
				return err
			}
			w.End()
			chunk.Release()
		}
		if err := errors.Join(n.owner.store.PutRecord(o), n.requester.store.PutRecord(o)); err != nil {
			return err
		}
	}
	return nil
}

// move lets the requester read the next object whole.
func (n *nodes) move(ctx context.Context) error {
	read, drop := n.objects[n.round%2], n.objects[(n.round+1)%2]
	n.round++
	return n.read(ctx, read, drop)
}

// read reads an object to its end at the requester, as a client would that
// costs nothing itself, and drops another one.
func (n *nodes) read(ctx context.Context, o, drop *storage.Object) error {
	content, err := n.requester.filler.Open(ctx, storage.Request{
		Ref: storage.Ref{Scheme: "http", Host: objectHost, Path: o.Path}, Rule: n.rule,
		First: storage.Span{End: math.MaxInt64}, Whole: true,
	})
	if err != nil {
		return err
	}
	defer content.Close()
	span := storage.Span{End: o.Size()}
	dropped := uint32(0)
	for span.Off < span.End {
		for ; dropped <= storage.ChunkOf(span.Off); dropped++ {
			if err := n.requester.store.DropChunk(ctx, drop.Key(dropped), nil); err != nil {
				return err
			}
		}
		run, err := content.Next(ctx, span)
		if err != nil {
			return fmt.Errorf("at %d: %w", span.Off, err)
		}
		span.Off += run.Len
	}
	return nil
}
