package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
)

// secrets are what nobody may see, by what they are.
type secrets map[string][]byte

// forms returns the ways in which a secret could be written down. Of base64
// there are three, by what stands before it; the ends depend on their
// neighbours and are left out.
func forms(secret []byte) map[string][]byte {
	written := map[string][]byte{
		"raw": secret, "hex": []byte(hex.EncodeToString(secret)),
		"numbers": []byte(strings.Trim(fmt.Sprintf("%d", secret), "[]")),
	}
	for shift := range 3 {
		moved := append(make([]byte, shift), secret...)
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.StdEncoding, "base64 for URLs": base64.URLEncoding} {
			text := encoding.EncodeToString(moved)
			written[fmt.Sprintf("%s %d", name, shift)] = []byte(text[4 : len(text)-4])
		}
	}
	return written
}

// in returns which secrets text holds.
func (s secrets) in(text []byte) (found []string) {
	for what, secret := range s {
		for form, needle := range forms(secret) {
			if bytes.Contains(text, needle) {
				found = append(found, what+" as "+form)
			}
		}
	}
	return found
}

// token adds a token, whole and its secret alone.
func (s secrets) token(what, token string) {
	s["token "+what] = []byte(token)
	s["secret of token "+what] = []byte(token[strings.LastIndexByte(token, '-')+1:][:32])
}

// keysOf adds the keys that the files of node n hold, or that can be opened
// with them. stage tells before and after a rotation apart.
func (b *bed) keysOf(s secrets, stage string, n *process.Node) {
	b.Helper()
	dir := filepath.Join(n.Dir, "cluster")
	folder, err := identity.OpenFolder(dir)
	if err != nil {
		b.Fatal(err)
	}
	id, err := folder.Load()
	if err != nil {
		b.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "state"))
	if err != nil {
		b.Fatal(err)
	}
	st, err := state.Unmarshal(raw[len("MCCDSTA1")+4:])
	if err != nil {
		b.Fatal(err)
	}
	of := func(what string) string { return what + " of " + n.Name + " " + stage }
	signer, ok := id.Key.Signer().(interface{ Seed() []byte })
	if !ok {
		b.Fatalf("the node key is a %T", id.Key.Signer())
	}
	s[of("node key")] = signer.Seed()
	s["sealing key "+stage] = id.Sealing[:]
	ring, err := id.Sealing.Open("gossip keyring", st.Gossip.Sealed)
	if err != nil {
		b.Fatal(err)
	}
	keys, err := identity.UnmarshalKeyring(ring)
	if err != nil {
		b.Fatal(err)
	}
	for i, key := range keys.Keys {
		s[fmt.Sprintf("gossip key %d %s", i, stage)] = key
	}
	ca, err := identity.OpenCA(st.Trust.CAs[0], st.Trust.SealedKey, id.Sealing)
	if err != nil {
		b.Fatal(err)
	}
	s["authority's key "+stage] = ca.Key.Seed()
}

// TestNothingToSee: three nodes whose whole traffic passes recording proxies
// join, fill from each other, rotate all keys and are restarted. No content,
// token or key is in what passed in between; none is in a log, a status, an
// error or a metric; and in files only where nobody else may read.
func TestNothingToSee(t *testing.T) {
	rec := newRecorder(t)
	// Node i is told to others as 127.0.1.(i+1), where the proxies listen.
	proxied := func(addr string) string {
		host, port, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(strings.Replace(host, "127.0.0.", "127.0.1.", 1), port)
	}
	b := prepareBed(t, setting{nodes: 3, amend: func(_ int, settings map[string]any) {
		settings["log"] = map[string]any{"level": "debug", "format": "text"}
		for _, what := range []string{"peer", "gossip"} {
			addr, _ := settings[what+"_listen"].(string)
			settings[what+"_advertise"] = proxied(addr)
			rec.tcp(proxied(addr), addr)
		}
		gossipAddr, _ := settings["gossip_listen"].(string)
		rec.udp(proxied(gossipAddr), gossipAddr)
		if join, ok := settings["join"].([]string); ok {
			settings["join"] = []string{proxied(join[0])}
		}
	}})
	if err := b.Start(b.ctx); err != nil {
		t.Fatal(err)
	}
	s := secrets{"signed query": []byte("s1gned-Qu3ry-t0ken"), "passphrase": []byte("a passphrase of the test, quite long")}
	token, err := os.ReadFile(b.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	s.token("of all", strings.TrimSpace(string(token)))
	for _, n := range b.Nodes {
		b.keysOf(s, "at first", n)
	}

	o := b.object("/filestreamingservice/files/nothing-to-see", 16*mib)
	o.Path += "?P1=2&P4=s1gned-Qu3ry-t0ken"
	for i := range b.Nodes {
		b.read(o, i, o.Whole())
	}
	said := b.operate(s)
	for _, n := range b.Nodes {
		b.keysOf(s, "at last", n)
	}
	b.Logf("%d bytes passed between nodes; %d secrets", rec.bytes(), len(s))
	if rec.bytes() < o.Size {
		t.Errorf("only %d bytes passed the proxies: the nodes have another way", rec.bytes())
	}
	b.searchTraffic(rec, s, "/filestreamingservice/files/nothing-to-see", o.Size)
	for what, text := range said {
		for _, found := range s.in(text) {
			t.Errorf("%s is in %s", found, what)
		}
	}
	b.searchFiles(s)
}

// operate does what operators do, right and wrong, and returns all that they
// were told.
func (b *bed) operate(s secrets) map[string][]byte {
	b.Helper()
	said := map[string][]byte{}
	first, last := b.Nodes[0], b.Nodes[len(b.Nodes)-1]
	tell := func(want int, n *process.Node, args ...string) {
		said["mccd "+strings.Join(args, " ")+" at "+n.Name] = []byte(b.command(want, n, args...))
	}
	passphrase := b.tokenFile(string(s["passphrase"]))
	backup := filepath.Join(b.TempDir(), "backup")
	for _, what := range []string{"gossip", "sealing", "ca"} {
		tell(0, last, "rotate", what)
		if err := b.Together(b.ctx); err != nil {
			b.Fatal(err)
		}
	}
	tell(0, first, "backup", backup, "--passphrase-file", passphrase)
	kept, err := os.ReadFile(backup)
	if err != nil {
		b.Fatal(err)
	}
	said["the backup"] = kept
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		b.Errorf("the backup's mode is %v, %v", info.Mode(), err)
	}
	tell(1, first, "restore", backup, "--passphrase-file", b.tokenFile("another passphrase"))
	made := strings.TrimSpace(b.command(0, first, "token", "create", "--quiet", "--note", "seen"))
	s.token("made later", made)
	tell(1, last, "join", first.Peer, "--token-file", b.tokenFile(made[:len(made)-2]))
	tell(0, last, "token", "list")
	tell(0, last, "token", "revoke", b.tokens("seen").ID)
	if err := last.Stop(b.ctx); err != nil {
		b.Fatal(err)
	}
	if err := last.Restart(b.ctx); err != nil {
		b.Fatal(err)
	}
	if err := b.Together(b.ctx); err != nil {
		b.Fatal(err)
	}
	for _, n := range b.Nodes {
		tell(0, n, "status", "-o", "json")
		tell(0, n, "status")
		tell(0, n, "token", "list", "-o", "json")
		for _, page := range []string{"/metrics", "/readyz", "/healthz", "/"} {
			said[page+" of "+n.Name] = b.page("http://" + n.Ops + page)
		}
		if argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n.PID())); err == nil {
			said["the command line of "+n.Name] = argv
		}
	}
	return said
}

func (b *bed) page(url string) []byte {
	b.Helper()
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		b.Fatal(err)
	}
	return text.Bytes()
}
