package peer

import (
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// An owner that takes an older version for fresh gives nothing of it to who
// knows a newer one: its bytes would lie in the newer version's file.
func TestOwnerWithAnOlderVersion(t *testing.T) {
	c := newCluster(t, 3)
	const size = storage.ChunkSize + storage.PieceSize
	path := c.pathOf(0, 1)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	age := func(v string) faultorigin.Behaviour {
		return faultorigin.Behaviour{Header: http.Header{"Cache-Control": {v}}}
	}
	c.origin.Script(path, age("max-age=600"))
	ctx := within(t, 30*time.Second)
	first := c.request(path, piece(0))
	second := c.request(path, storage.Span{Off: storage.ChunkSize, End: size})
	if _, err := c.nodes[1].read(ctx, second, "1"); err != nil {
		t.Fatal(err)
	}
	c.origin.SetVersion(path, "2")
	c.origin.Script(path, age("max-age=0"))
	if _, err := c.nodes[0].read(ctx, first, "1"); err == nil {
		t.Fatal("the home does not see that the version has changed")
	}
	eventually(t, "the home has the new version", func() bool {
		_, err := c.nodes[0].read(ctx, first, "2")
		return err == nil
	})
	if _, err := c.nodes[2].read(ctx, first, "2"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes[2].read(ctx, second, "2"); err != nil {
		t.Errorf("the second chunk of the new version: %v", err)
	}
}
