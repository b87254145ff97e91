package testcluster_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// Each way in which an origin lies or fails: what a client of either profile
// gets (docs/clients.md sections 4 and 5), that nothing wrong is stored, and
// that the same client is served rightly once the origin is well.
func TestOriginsThatLie(t *testing.T) {
	const size = 3<<20 + 77
	for _, tt := range []struct {
		name     string
		b        faultorigin.Behaviour
		do, http int // the status of a range of the first piece
	}{
		{"well", faultorigin.Behaviour{}, 206, 206},
		{"short body", faultorigin.Behaviour{Break: faultorigin.Short, After: 100 << 10}, 206, 206},
		{"empty body", faultorigin.Behaviour{Break: faultorigin.Short, After: 0}, 503, 502},
		{"reset", faultorigin.Behaviour{Break: faultorigin.Reset, After: 1000}, 503, 502},
		{"stall in the body", faultorigin.Behaviour{Break: faultorigin.Stall, After: 1000}, 503, 502},
		{"no answer", faultorigin.Behaviour{Drop: true}, 503, 502},
		{"content-range of another place", faultorigin.Behaviour{ContentRange: "bytes 5-1048580/3145805"}, 503, 502},
		{"content-range unreadable", faultorigin.Behaviour{ContentRange: "bytes x-y/z"}, 503, 502},
		{"content-range beyond the end", faultorigin.Behaviour{ContentRange: "bytes 0-1048575/1000"}, 503, 502},
		{"no content-range", faultorigin.Behaviour{ContentRange: "-"}, 503, 502},
		{"multipart", faultorigin.Behaviour{Multipart: true}, 503, 502},
		{"length too short", faultorigin.Behaviour{LengthDelta: -10}, 503, 502},
		{"length too long", faultorigin.Behaviour{LengthDelta: 10}, 503, 502},
		{"ignores range", faultorigin.Behaviour{IgnoreRange: true}, 206, 206},
		{"redirect elsewhere", faultorigin.Behaviour{Location: "http://elsewhere.test/x"}, 503, 502},
		{"redirect to a private address", faultorigin.Behaviour{Location: "http://169.254.169.254/latest"}, 503, 502},
		{"redirect for ever", faultorigin.Behaviour{Location: "/a"}, 503, 502},
		{"404", faultorigin.Behaviour{Status: 404}, 502, 404},
		{"403", faultorigin.Behaviour{Status: 403}, 502, 403},
		{"401", faultorigin.Behaviour{Status: 401}, 502, 401},
		{"429", faultorigin.Behaviour{Status: 429}, 502, 429},
		{"500", faultorigin.Behaviour{Status: 500}, 502, 500},
		{"503", faultorigin.Behaviour{Status: 503}, 502, 503},
	} {
		for _, profile := range []struct {
			host string
			want int
		}{{updates, tt.do}, {host, tt.http}} {
			t.Run(tt.name+"/"+profile.host, func(t *testing.T) {
				t.Parallel()
				o, c := served(t, testcluster.Config{Nodes: 1, Edit: func(_ int, cfg *node.Config) {
					cfg.Timeouts.Stall, cfg.Timeouts.ClientFirstByte = 30*time.Second, time.Minute
					if tt.b.Break == faultorigin.Stall {
						cfg.Timeouts.Stall = 2 * time.Second // an honest origin may stand still for one
					}
				}}, faultorigin.Object{Path: "/a", Size: size})
				o.Script("/a", tt.b)
				ctx := timeout(t)
				resp, err := ask(ctx, client(), c.Nodes[0], profile.host, "/a", "bytes=0-1048575")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				// What came of the first block may have gone out before the fault.
				early := err != nil && resp.StatusCode == http.StatusPartialContent && tt.b.After > 0
				if resp.StatusCode != profile.want && !early {
					t.Errorf("status %d, want %d: %s", resp.StatusCode, profile.want, firstLine(body))
				}
				if resp.StatusCode == http.StatusPartialContent {
					want := make([]byte, 1<<20)
					faultorigin.Fill(want, "/a", "1", 0)
					if !bytes.HasPrefix(want, body) {
						t.Error("wrong bytes")
					}
					if err == nil && len(body) != len(want) {
						t.Errorf("%d bytes looked whole", len(body))
					}
				}
				onlyRight(t, c.Nodes[0], "/a", "1")
				o.Script("/a", faultorigin.Behaviour{})
				if err := getFrom(ctx, c.Nodes[0], profile.host, "/a", "1", storage.Span{Off: 0, End: size}); err != nil {
					t.Errorf("after the origin is well: %v", err)
				}
				onlyRight(t, c.Nodes[0], "/a", "1")
			})
		}
	}
}

// onlyRight checks every block that the node has stored.
func onlyRight(t *testing.T, n *testcluster.Node, path, version string) {
	t.Helper()
	n.Held(func(key storage.ChunkKey, held disk.Bitmap) bool {
		chunk, err := n.Chunk(key)
		if err != nil {
			t.Errorf("open what is held: %v", err)
			return true
		}
		defer chunk.Release()
		file, base := chunk.File()
		for i := range storage.BlocksPerChunk {
			if !held.Has(i) {
				continue
			}
			off := int64(i) * storage.BlockSize
			got := make([]byte, min(storage.BlockSize, chunk.Len()-off))
			want := make([]byte, len(got))
			if _, err := file.ReadAt(got, base+off); err != nil {
				t.Errorf("read block %d: %v", i, err)
				continue
			}
			faultorigin.Fill(want, path, version, int64(key.Index)*storage.ChunkSize+off)
			if !bytes.Equal(got, want) {
				t.Errorf("block %d of chunk %d holds wrong bytes", i, key.Index)
			}
		}
		return true
	})
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b[:min(len(b), 200)], []byte("\n"))
	return string(line)
}
