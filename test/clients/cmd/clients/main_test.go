package main

import (
	"strings"
	"testing"

	"github.com/mccd/mccd/test/faultorigin"
)

func TestCommand(t *testing.T) {
	o := faultorigin.Object{Path: "/a", Size: 2_000_000}
	cache, cdn := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{o}}), faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{o}})
	defer cache.Close()
	defer cdn.Close()
	call := func(args ...string) (int, string, string) {
		var out, err strings.Builder
		code := run(t.Context(), args, &out, &err)
		return code, out.String(), err.String()
	}
	good := []string{"-nodes", cache.Addr(), "-host", "h", "-cdn", cdn.Addr(), "-downloads", "6", "-machines", "2"}
	if code, out, err := call(append(good, "/a")...); code != 0 || !strings.Contains(out, "both") {
		t.Errorf("code %d\n%s%s", code, out, err)
	}
	if code, _, err := call(append(good, "/none")...); code != 1 || !strings.Contains(err, "learn /none") {
		t.Errorf("code %d, %s", code, err)
	}
	cache.Script("/a", faultorigin.Behaviour{Status: 503})
	if code, out, _ := call(append(good, "/a")...); code != 1 || !strings.Contains(out, "status 503") {
		t.Errorf("code %d\n%s", code, out)
	}
	if code, out, _ := call(append(append(good, "-fall-backs"), "/a")...); code != 0 {
		t.Errorf("code %d\n%s", code, out)
	}
	if code, _, err := call("-help"); code != 0 || !strings.Contains(err, "usage: clients") || !strings.Contains(err, "-answers") {
		t.Errorf("code %d, %s", code, err)
	}
	for _, bad := range [][]string{nil, {"-x"}, good} {
		if code, _, _ := call(bad...); code != 2 {
			t.Errorf("%v: code %d", bad, code)
		}
	}
}
