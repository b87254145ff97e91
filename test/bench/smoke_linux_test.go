package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/rows"
)

// TestMain lets the test's own program be the one in the bed, and the origin.
func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSmoke runs every target for seconds: that it works, not what it finds.
func TestSmoke(t *testing.T) {
	bin, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(process.BinEnv, bin)
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	for _, target := range targets(flags) {
		t.Run(target.name, func(t *testing.T) {
			out := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			var said bytes.Buffer
			code := run(ctx, []string{"-target", target.name, "-smoke", "-out", out}, &said, &said)
			t.Logf("%s", &said)
			if code != 0 {
				t.Fatalf("exit code %d", code)
			}
			text, err := os.ReadFile(filepath.Join(out, "bench-"+target.name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var all []rows.Row
			if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
				t.Fatalf("%s: %v", text, err)
			}
			for _, r := range all {
				if r.Name == "" || r.Unit == "" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-target", "nope"}, {"-target", "hit,"}, {"-nope"}, {"hit"}} {
		if code := run(t.Context(), args, io.Discard, io.Discard); code == 0 {
			t.Errorf("%q passed", args)
		}
	}
}
