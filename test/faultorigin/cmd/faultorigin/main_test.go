package main

import "testing"

func TestObject(t *testing.T) {
	tests := []struct {
		in, path, version string
		size              int64 // -1 = an error
	}{
		{"/a=5", "/a", "", 5},
		{"/a=128MiB", "/a", "", 128 << 20},
		{"/a=64KiB=v2", "/a", "v2", 64 << 10},
		{"/a", "", "", -1},
		{"a=5", "", "", -1},
		{"/a=-1", "", "", -1},
		{"/a=xMiB", "", "", -1},
		{"/a=9223372036854775807GiB", "", "", -1},
		{"/a=1=2=3", "", "", -1},
	}
	for _, tt := range tests {
		o, err := object(tt.in)
		if (err != nil) != (tt.size < 0) || err == nil && (o.Path != tt.path || o.Size != tt.size || o.Version != tt.version) {
			t.Errorf("%q: %+v, %v", tt.in, o, err)
		}
	}
}

func TestRunReportsBadFlags(t *testing.T) {
	for _, args := range [][]string{{"--object", "x"}, {"--dir", "/no/such/folder"}, {"--listen", "nowhere"}, {"--nope"}} {
		if err := run(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
