package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mccd/mccd/cluster/admin"
)

// sampleExplanations are of all that an explanation can be.
func sampleExplanations() map[string]admin.Explanation {
	const chunk = 8 << 20
	all := func(why string) []admin.ExplainedStep {
		return []admin.ExplainedStep{{Kind: "hit", By: "alpha", From: "alpha", Bytes: chunk, Why: why}}
	}
	order := func(names ...string) (out []admin.Candidate) {
		for _, n := range names {
			out = append(out, admin.Candidate{Node: n})
		}
		return out
	}
	part := admin.Explanation{
		Node: "alpha", URL: admin.NamedURL{Scheme: "http", Host: "au.download.windowsupdate.com", Path: "/d/x.cab", Form: "cacheHostOrigin", QueryBytes: 43},
		Rule:   admin.ExplainedRule{Name: "windows-update", Product: "Windows Update, Defender, drivers, Store", Profile: "do"},
		Object: "0123456789abcdef0123456789abcdef",
		Version: &admin.ExplainedVersion{
			ID: "00000000deadbeef", ToldBy: "last-modified and length", ETag: `"x"`, LastModified: "Mon, 02 Jan 2006 15:04:05 GMT", Size: 4*chunk + 1000,
			ContentType: "application/vnd.ms-cab-compressed", From: "alpha",
		},
		Freshness: admin.Freshness{Standing: "fresh", ValidatedAgo: 90 * time.Second, FreshFor: time.Hour, Left: time.Hour - 90*time.Second, Why: "Cache-Control: max-age=3600"},
		Purge:     admin.PurgeStanding{Index: 7}, Home: order("beta", "alpha"), EndByte: 4*chunk + 1000,
		Next: []string{"The version is fresh here: nobody is asked about it."},
	}
	for i := range 5 {
		c := admin.ExplainedChunk{Index: uint32(i), FirstByte: int64(i) * chunk, EndByte: int64(i+1) * chunk, Size: chunk, Acting: "alpha", Order: order("alpha", "beta", "gamma"),
			Holders: []admin.ExplainedHolder{{Node: "alpha", Bytes: chunk, Worth: "owned", Known: true}}, Steps: all("hit from this node's drive")}
		switch i {
		case 2:
			c.Order, c.Acting = order("beta", "alpha", "gamma"), "gamma"
			c.Order[0].WhyNot, c.Order[1].WhyNot = "failed", "draining"
			c.Holders = []admin.ExplainedHolder{{Node: "gamma", Bytes: chunk / 4, Coming: chunk / 2, Flights: 1, Worth: "owned", Known: true}, {Node: "alpha", Bytes: 1 << 20, Worth: "borrowed"}}
			c.Steps = []admin.ExplainedStep{
				{Kind: "hit", By: "alpha", From: "alpha", Bytes: 1 << 20, Why: "hit from this node's drive"},
				{Kind: "peer", By: "gamma", From: "gamma", Bytes: chunk / 2, Why: "peer fill from gamma, which is getting it"},
				{Kind: "origin", By: "gamma", Bytes: 3 << 20, Why: "gamma acts for beta (failed) and no node that answers holds it"},
			}
		case 3:
			c.Order = order("alpha", "gamma", "beta")
		case 4:
			c.Size, c.EndByte, c.Holders = 1000, 4*chunk+1000, nil
			c.Steps = []admin.ExplainedStep{{Kind: "origin", By: "alpha", Bytes: 1000, Why: "this node acts as owner and no node holds it"}}
		}
		part.Chunks = append(part.Chunks, c)
	}
	part.Silent = []string{"beta"}

	purged := part
	purged.Version, purged.Silent, purged.URL.QueryBytes, purged.URL.Form = nil, nil, 0, "host"
	purged.Rule = admin.ExplainedRule{Name: "debian", Product: "Debian", Profile: "http", KeyHost: "debian", JoinSchemes: true, QueryInKey: true}
	purged.Freshness = admin.Freshness{Standing: "unknown"}
	purged.Purge = admin.PurgeStanding{Index: 9, Killed: true, Hit: &admin.PurgeMark{Index: 9, Product: "Debian", Path: "/", Prefix: true}}
	purged.Chunks = []admin.ExplainedChunk{{
		EndByte: 1, Acting: "beta", Order: order("beta", "alpha"),
		Steps: []admin.ExplainedStep{{Kind: "origin", By: "beta", Bytes: 1, Why: "beta acts as owner, and no version is known"}},
	}}
	purged.Next = []string{
		"What this node knew of the object was purged: it is as if it had never been fetched.",
		"No version is known: beta, the object's home too, asks the origin for the first wanted bytes, and learns the version with them.",
	}

	many := part
	many.Silent, many.Chunks, many.More = nil, nil, 5000
	many.Freshness.Standing, many.Freshness.Left = "stale", 0
	many.Purge.Hit = &admin.PurgeMark{Index: 6, Host: "au.download.windowsupdate.com", Path: "/d/", Prefix: true}
	for i := range 1024 {
		c := part.Chunks[0]
		if c.Index = uint32(i); i%7 == 0 {
			c.Acting, c.Order = "beta", order("beta", "alpha", "gamma")
		}
		many.Chunks = append(many.Chunks, c)
	}
	refused := admin.Explanation{Node: "alpha", URL: admin.NamedURL{Host: "download.windowsupdat.com", Form: "cacheHostOrigin"}, Refused: &admin.Refused{
		Status: 403, Text: "This cluster does not serve that origin.", Nearest: []string{"*.download.windowsupdate.com (rule windows-update)"},
	}}
	far := refused
	far.Refused = &admin.Refused{Status: 403, Text: "This cluster does not serve that origin."}
	return map[string]admin.Explanation{"part": part, "purged": purged, "many": many, "refused": refused, "far": far}
}

func TestGoldenExplain(t *testing.T) {
	for name, e := range sampleExplanations() {
		for _, width := range []int{80, 160} {
			file := fmt.Sprintf("explain-%s-%d.golden", name, width)
			got := explainText(&e, width)
			for line := range strings.Lines(got) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: %d columns: %s", file, n, line)
				}
			}
			path := filepath.Join("testdata", file)
			if update() {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || string(want) != got {
				t.Errorf("%s: the text changed (%v); run make generate and look at the difference\n%s", file, err, got)
			}
		}
	}
}

func TestExplainAsksTheNode(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	code, stdout, stderr := mccd(t, "explain", "http://h/x", "--range", "0-9", "--admin-socket", socket)
	if got := f.take(); code != 0 || got != `explain http://h/x "0-9"` || !strings.Contains(stdout, "hit from this node's drive") {
		t.Errorf("code %d, asked %s, %q %q", code, got, stdout, stderr)
	}
	code, stdout, _ = mccdWith(t, "http://h/x?sig=secret\n", nil, "explain", "-", "-o", "json", "--admin-socket", socket)
	var e admin.Explanation
	if err := json.Unmarshal([]byte(stdout), &e); code != 0 || err != nil || e.Freshness.Left != time.Hour-90*time.Second || len(e.Chunks) != 5 {
		t.Errorf("code %d, %v: %s", code, err, stdout)
	}
	if got := f.take(); got != `explain http://h/x?sig=secret ""` {
		t.Errorf("asked %s", got)
	}
	if code, _, stderr := mccd(t, "explain", "nonsense?sig=secret", "--admin-socket", socket); code != exitFailure || strings.Contains(stderr, "secret") || !strings.Contains(stderr, "no URL") {
		t.Errorf("code %d, %q", code, stderr)
	}
	if code, _, _ := mccd(t, "explain", "--admin-socket", socket); code != exitUsage {
		t.Errorf("without a URL: code %d", code)
	}
}
