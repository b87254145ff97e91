package testcluster_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// record is an access log.
type record struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// Signed URLs, by both profiles: each client's token is its own affair, and
// none is in any file, log or answer afterwards, in whatever way the origin
// repeats it.
func TestSignedURLsLeaveNoTrace(t *testing.T) {
	const size = 2<<20 + 5
	logs := new(record)
	o, c := served(t, testcluster.Config{Nodes: 3, Edit: func(_ int, cfg *node.Config) { cfg.AccessLog = logs }})
	ctx := timeout(t)
	const good, expired, moved = "P1=1763&P4=GOODtokenAAAA%2bbb%3d%3d", "P1=1700&P4=EXPIREDtokenBBBB%2b", "sig=MOVEDtokenCCCC%2f"
	var answers record
	for _, name := range []string{updates, host} {
		for kind, behaviours := range map[string][]faultorigin.Behaviour{
			"plain":      {{Token: "GOODtoken"}},
			"revoked":    {{Requests: []int{1, 2}, Token: "GOODtoken"}, {Status: http.StatusForbidden}},
			"unmeasured": {{Token: "GOODtoken", IgnoreRange: true, Chunked: true}},
			"echo": {{Token: "GOODtoken", Header: http.Header{
				"Content-Location": {"/echo?" + good}, "Link": {"</echo?P4=GOODtokenAAAA%2bbb%3d%3d>; rel=self"}, "X-Token": {"GOODtokenAAAA%2bbb%3d%3d"},
			}}},
			"redirect": {{Token: "MOVEDtoken", Header: http.Header{"Content-Location": {"/r?" + moved}}}},
		} {
			path := "/" + name + "/" + kind
			o.Add(faultorigin.Object{Path: path, Size: size})
			if kind == "redirect" {
				o.Script(path+"-from", faultorigin.Behaviour{Location: path + "?" + moved})
				o.Script(path, behaviours...)
				path += "-from"
			} else {
				o.Script(path, behaviours...)
			}
			for i, token := range []string{expired, good, expired, good} {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Nodes[i%3].URL(path+"?"+token), nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = name
				resp, err := client().Do(req)
				if err != nil {
					t.Logf("%s by %d: %v", path, i, err)
					continue
				}
				if resp.StatusCode < 400 { // the scripted origin tells them to all it refuses
					fmt.Fprintln(&answers, resp.Header)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				whole := resp.StatusCode == http.StatusOK && err == nil && n == size
				if kind != "revoked" && token == good && !whole {
					t.Errorf("%s by client %d with a good token: %d, %d bytes, %v", path, i, resp.StatusCode, n, err)
				}
				if kind == "plain" && i == 0 && resp.StatusCode < 400 {
					t.Errorf("%s with an expired token: %d", path, resp.StatusCode)
				}
			}
		}
	}
	var told strings.Builder
	for _, n := range c.Nodes {
		fmt.Fprintln(&told, n.Log())
		n.Stop()
	}
	secrets := []string{"GOODtoken", "EXPIREDtoken", "MOVEDtoken"}
	clean := func(what, text string) {
		for _, s := range secrets {
			if at := strings.Index(text, s); at >= 0 {
				t.Errorf("%s holds a token: %.200q", what, text[max(0, at-80):])
			}
		}
	}
	clean("an answer", answers.String())
	clean("the access log", logs.String())
	clean("a log", told.String())
	if !strings.Contains(logs.String(), "/plain") || !strings.Contains(told.String(), "level=DEBUG") {
		t.Error("the logs are empty")
	}
	files := 0
	for _, n := range c.Nodes {
		err := filepath.WalkDir(n.DataDir(), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			files++
			clean(path, path+"\x00"+string(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 10 {
		t.Errorf("only %d files were looked into", files)
	}
}
