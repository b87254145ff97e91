package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process/herd"
)

func TestLargestFiles(t *testing.T) {
	root := t.TempDir()
	for name, n := range map[string]int{"a": 10, "b b/c%": 30, "d": 20, "e": 5} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := largest(root, 45)
	if err != nil || len(files) != 2 || files[0] != (realFile{"b b/c%", 30}) || files[1] != (realFile{"d", 20}) {
		t.Errorf("%v, %v", files, err)
	}
	if got := escape(files[0].name); got != "/b%20b/c%25" {
		t.Errorf("escape: %s", got)
	}
	if _, err := largest(root, 100); err == nil {
		t.Error("too few files passed")
	}
	c := &catalogue{root: root}
	c.add(realHost, escape(files[0].name), 30)
	if err := c.sum(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := c.objects[0].Check(c.objects[0].Span())
	_, _ = check.Write(make([]byte, 30))
	if !check.Right() {
		t.Error("right bytes do not pass")
	}
}

// sample is a result in which all went well.
func sample() *result {
	killed := time.Now()
	return &result{
		clients: 18, content: &catalogue{bytes: 100 * mib}, want: 1000,
		herd:     &herd.Result{Bytes: 1000, Requests: 12345},
		took:     time.Second,
		names:    [nodes]string{"node1", "node2", "node3"},
		atKill:   ledger{sent: 50 * mib, unique: 50 * mib},
		atReturn: ledger{sent: 82 * mib, unique: 80 * mib}, atEnd: ledger{sent: 102 * mib, unique: 100 * mib},
		killed: killed, upAgain: killed.Add(time.Second), alone: 4 * mib, open: 3,
		back: backResult{result: new(herd.Result)},
	}
}

func TestVerdict(t *testing.T) {
	if err := sample().verdict(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*result){
		"a wrong copy":         func(r *result) { r.herd.Wrong = []storage.Span{{End: 1}} },
		"wrong after return":   func(r *result) { r.back.result.Wrong = []storage.Span{{End: 1}} },
		"a failed request":     func(r *result) { r.failed = []herd.Failure{{Addr: "x", Err: errors.New("y")}} },
		"something not read":   func(r *result) { r.herd.Unread = []storage.Span{{End: 1}} },
		"not read at return":   func(r *result) { r.back.result.Unread = []storage.Span{{End: 1}} },
		"failed at the return": func(r *result) { r.failed = []herd.Failure{{}} },
	} {
		r := sample()
		spoil(r)
		if err := r.verdict(); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRowsAndPrint(t *testing.T) {
	r := sample()
	want := map[string]float64{"served": 1, "origin_vs_unique": 1, "extra_after_kill": 2.0 / 4, "failed": 1, "wrong": 1}
	for _, row := range r.rows() {
		ratio, named := want[row.Name]
		if named && (row.Ratio < ratio-1e-6 || row.Ratio > ratio+1e-6) {
			t.Errorf("%s: ratio %v, not %v", row.Name, row.Ratio, ratio)
		}
		delete(want, row.Name)
		if !strings.Contains(row.Unit, "1 round") {
			t.Errorf("%s does not say its rounds: %q", row.Name, row.Unit)
		}
	}
	if len(want) > 0 {
		t.Errorf("no rows %v", want)
	}
	var out bytes.Buffer
	r.print(&out, "out/demo.json")
	for _, text := range []string{"1.0000", "12,345", "7.0 MiB", "out/demo.json"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not said:\n%s", text, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "✗") {
		t.Errorf("colours in a pipe, or a broken promise:\n%s", out.String())
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[float64]string{5: "5 B", 2048: "2.0 KiB", 3 << 20: "3.0 MiB", 5 << 30: "5.00 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%v) = %s", n, got)
		}
	}
	for n, want := range map[int]string{7: "7", 1234: "1,234", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s", n, got)
		}
	}
	if got := bar(1, 2, 4); got != "██░░" {
		t.Errorf("bar: %s", got)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-clients", "2"}, {"-rate", "0"}, {"-nonsense"}, {"extra"}} {
		var out bytes.Buffer
		if code := run(context.Background(), args, &out, &out); code != 2 || out.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, out.String())
		}
	}
}
