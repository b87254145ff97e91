package peerfill

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/mccd/mccd/storage"
)

// files is the reference: a folder served by net/http over TLS 1.3, and clients
// that copy its files into another one.
type files struct {
	from, to string
	count    int
	clients  []*http.Client
	url      string
	server   *http.Server
	served   chan struct{}
}

func startFiles(dir string, count, connections int, config *tls.Config) (*files, error) {
	f := &files{from: filepath.Join(dir, "from"), to: filepath.Join(dir, "to"), count: count, served: make(chan struct{})}
	for _, d := range []string{f.from, f.to} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	block := make([]byte, storage.BlockSize)
	for i := range count {
		file, err := os.Create(filepath.Join(f.from, name(i)))
		if err != nil {
			return nil, err
		}
		for k := range storage.BlocksPerChunk {
			scramble(block, i*storage.BlocksPerChunk+k)
			if _, err := file.Write(block); err != nil {
				return nil, errors.Join(err, file.Close())
			}
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := config.Clone()
	server.ClientAuth = tls.RequestClientCert
	server.NextProtos = []string{"http/1.1"}
	f.server = &http.Server{Handler: http.FileServer(http.Dir(f.from))}
	f.url = "https://" + listener.Addr().String() + "/"
	go func() {
		defer close(f.served)
		_ = f.server.Serve(tls.NewListener(listener, server))
	}()
	for range connections {
		client := config.Clone()
		client.InsecureSkipVerify = true // who answers is not the question here
		f.clients = append(f.clients, &http.Client{Transport: &http.Transport{TLSClientConfig: client, DisableCompression: true}})
	}
	return f, nil
}

func name(i int) string { return fmt.Sprintf("%08d", i) }

func (f *files) stop() {
	for _, c := range f.clients {
		c.CloseIdleConnections()
	}
	_ = f.server.Close()
	<-f.served
}

// move copies all files, one per connection at a time.
func (f *files) move(ctx context.Context) error {
	var next atomic.Int64
	errs := make([]error, len(f.clients))
	var wg sync.WaitGroup
	for k, c := range f.clients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < f.count && errs[k] == nil; i = int(next.Add(1)) - 1 {
				errs[k] = f.get(ctx, c, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (f *files) get(ctx context.Context, c *http.Client, i int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+name(i), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	file, err := os.Create(filepath.Join(f.to, name(i)))
	if err != nil {
		return err
	}
	n, err := io.Copy(file, resp.Body)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if n != storage.ChunkSize {
		return fmt.Errorf("%d bytes came with status %d", n, resp.StatusCode)
	}
	return nil
}

// scramble fills p with the bytes of one block, each of which is another.
func scramble(p []byte, block int) {
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], uint64(block<<20+i)*0x9e3779b97f4a7c15)
	}
}
