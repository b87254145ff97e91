package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// filesHost is a virtual host of profile http.
const filesHost = "files.example"

// TestRealDownloaders: curl, wget and aria2c get the right bytes of a virtual
// host through each node, whole, in parts and resumed, and all that come after
// the first are served without a byte of the origin's.
func TestRealDownloaders(t *testing.T) {
	const path, size = "/pool/big.iso", 20*mib + 17
	b := newBed(t, setting{nodes: 3, vhosts: []map[string]any{{"name": "files", "hosts": []string{filesHost}}}})
	b.origin.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=3600"}}})
	want := make([]byte, size)
	faultorigin.Fill(want, path, faultorigin.DefaultVersion, 0)
	etag := faultorigin.ETag(path, faultorigin.DefaultVersion)
	name := "http://" + filesHost + path

	aria, ariaErr := exec.LookPath("aria2c")
	if ariaErr == nil {
		t.Run("aria2c is cut and resumes", func(t *testing.T) { b.at(t, 0).ariaResumes(aria, name, want) })
	}
	t.Run("each byte once", func(t *testing.T) {
		b.at(t, 1).do(program(t, "curl"), "-sS", "-f", "--connect-to", filesHost+":80:"+b.Nodes[1].Addr, "-o", "all", name)
		if l := b.origin.Ledger(); l.MaxTimes(path) != 1 || l.Union(path) != size {
			t.Errorf("the origin sent %d different bytes of %d, one of them %d times", l.Union(path), size, l.MaxTimes(path))
		}
	})
	had := want[:7*mib+5]
	for i := range b.Nodes {
		b.free(fmt.Sprintf("all programs at node %d", i+1), func() {
			t.Run(fmt.Sprintf("wget at node %d", i+1), func(t *testing.T) {
				wget, c := program(t, "wget"), b.at(t, i)
				c.do(wget, "-q", "--header=Host: "+filesHost, "-O", "whole", "http://"+c.node.Addr+path)
				same(t, c.file("whole"), want)
				c.put("big.iso", had)
				c.do(wget, "-q", "-c", "-e", "use_proxy=yes", "-e", "http_proxy=http://"+c.node.Addr, name)
				same(t, c.file("big.iso"), want)
				c.do(wget, "-q", "-c", "-e", "use_proxy=yes", "-e", "http_proxy=http://"+c.node.Addr, name) // all is there: 416
				same(t, c.file("big.iso"), want)
			})
			t.Run(fmt.Sprintf("curl at node %d", i+1), func(t *testing.T) { b.at(t, i).curls(program(t, "curl"), name, etag, want) })
			t.Run(fmt.Sprintf("aria2c at node %d", i+1), func(t *testing.T) {
				aria, c := program(t, "aria2c"), b.at(t, i)
				c.do(aria, "-q", "--no-conf", "-x6", "-s6", "-k1M", "--file-allocation=none", "--http-proxy=http://"+c.node.Addr, "-o", "whole", name)
				same(t, c.file("whole"), want)
			})
		})
	}
}

func (c *client) file(name string) string { return filepath.Join(c.dir, name) }

func (c *client) put(name string, content []byte) {
	c.Helper()
	if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
		c.Fatal(err)
	}
}

// curls asks for all, for parts, for the rest, and whether it has changed.
func (c *client) curls(curl, name, etag string, want []byte) {
	c.Helper()
	size := len(want)
	argv := []string{curl, "-sS", "-f", "--connect-to", filesHost + ":80:" + c.node.Addr, "-o", "part"}
	for span, part := range map[string][]byte{
		"0-1": want[:2], "8388600-8388700": want[8388600:8388701], fmt.Sprint(size-9) + "-": want[size-9:], "-1000": want[size-1000:],
	} {
		c.do(append(argv, "-r", span, name)...)
		same(c.T, c.file("part"), part)
	}
	c.severalRanges(append(argv, "-D", c.file("head"), name), want)
	c.put("part", want[:9*mib])
	c.do(append(argv, "-C", "-", name)...)
	same(c.T, c.file("part"), want)
	status := []string{"-w", "%{http_code} %{size_download}"}
	for header, says := range map[string]string{
		"If-None-Match: " + etag:                           "304 0",
		`If-None-Match: "another", W/` + etag:              "304 0",
		`If-None-Match: "another"`:                         fmt.Sprintf("200 %d", size),
		"If-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT": "304 0",
	} {
		if got := c.do(append(append(argv, status...), "-H", header, name)...); got != says {
			c.Errorf("%s: %s, want %s", header, got, says)
		}
	}
	if got := c.do(append(append(argv, status...), "-H", "If-Range: "+etag, "-r", "5-9", name)...); got != "206 5" {
		c.Errorf("If-Range of this version: %s", got)
	}
	if got := c.do(append(append(argv, status...), "-H", `If-Range: "another"`, "-r", "5-9", name)...); got != fmt.Sprintf("200 %d", size) {
		c.Errorf("If-Range of another version: %s", got)
	}
}

// severalRanges asks for parts in different chunks at once.
func (c *client) severalRanges(argv []string, want []byte) {
	c.Helper()
	c.do(append(argv, "-r", "0-9,8388600-8388700,-5")...)
	head, err := os.ReadFile(c.file("head"))
	if err != nil {
		c.Fatal(err)
	}
	_, boundary, ok := strings.Cut(string(head), "multipart/byteranges; boundary=")
	if !ok || !strings.HasPrefix(string(head), "HTTP/1.1 206") {
		c.Fatalf("several ranges: %s", head)
	}
	boundary, _, _ = strings.Cut(boundary, "\r\n")
	body, err := os.Open(c.file("part"))
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	parts := multipart.NewReader(body, strings.Trim(boundary, `"`))
	for _, part := range [][]byte{want[:10], want[8388600:8388701], want[len(want)-5:]} {
		p, err := parts.NextPart()
		if err != nil {
			c.Fatal(err)
		}
		if got, err := io.ReadAll(p); err != nil || !bytes.Equal(got, part) {
			c.Errorf("%s: %d bytes, not the %d right ones, %v", p.Header.Get("Content-Range"), len(got), len(part), err)
		}
	}
}

// ariaResumes kills a download with several connections on its way, and lets
// another one finish it.
func (c *client) ariaResumes(aria, name string, want []byte) {
	c.Helper()
	argv := []string{"-q", "--no-conf", "-x4", "-s4", "-k1M", "--file-allocation=none", "--auto-save-interval=1", "--http-proxy=http://" + c.node.Addr, "-o", "big", name}
	cmd := exec.CommandContext(c.ctx, aria, append([]string{"--max-download-limit=3M"}, argv...)...)
	cmd.Dir, cmd.Env = c.dir, []string{"HOME=" + c.dir}
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	begun := process.Poll(c.ctx, func(context.Context) error {
		if info, err := os.Stat(c.file("big")); err != nil || info.Size() < mib {
			return errors.New("nothing came")
		}
		return nil
	})
	_ = cmd.Process.Signal(syscall.SIGINT) // it writes down what it has
	_ = cmd.Wait()
	if begun != nil {
		c.Fatal(begun)
	}
	if _, err := os.Stat(c.file("big.aria2")); err != nil {
		c.Fatal("it was not cut on its way: ", err)
	}
	c.do(append([]string{aria, "-c"}, argv...)...)
	same(c.T, c.file("big"), want)
	if strings.Contains(c.do("ls", c.dir), "aria2") {
		c.Error("aria2c does not take the download for complete")
	}
}
