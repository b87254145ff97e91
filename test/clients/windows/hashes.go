package windows

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mccd/mccd/test/clients/agent"
)

// hashed is the path below which objects have piece hashes.
const hashed = "/filestreamingservice/files/"

// maxHashes bounds what is read of piece hashes.
const maxHashes = 1 << 20

// hashesPath returns where the piece hashes of path are; false = there are none.
func hashesPath(path string) (string, bool) {
	path, query, signed := strings.Cut(path, "?")
	if !strings.HasPrefix(path, hashed) {
		return "", false
	}
	path += "/pieceshash"
	if signed {
		path += "?" + query
	}
	return path, true
}

// askHashes asks the first cache for the piece hashes until they come or ctx
// ends: a 404 is asked again after a while. The download does not wait for it.
func (d *download) askHashes(ctx context.Context) {
	path, ok := hashesPath(d.o.Path)
	if !ok || len(d.c.Names) == 0 {
		return
	}
	name := d.c.Names[0]
	link := &agent.Link{Lookup: name.Lookup, Times: d.c.Times}
	defer link.Close()
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Keep-Alive\r\nAccept: */*\r\nUser-Agent: %s\r\n\r\n",
		agent.CachePath(path, d.o.Host), name, userAgent)
	for {
		a, f := link.Ask(ctx, text)
		if f != nil {
			return // the download itself will find out
		}
		status := a.Head.Status
		_, _ = io.CopyN(io.Discard, a, maxHashes)
		a.End()
		d.mu.Lock()
		d.report.PieceHashes[status]++
		d.mu.Unlock()
		if status != http.StatusNotFound || !agent.Sleep(ctx, d.c.Times.Again) {
			return
		}
	}
}
