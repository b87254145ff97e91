package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process/herd"
)

const (
	mib = 1 << 20
	// realBytes is how much of the Go distribution is served at least.
	realBytes = 200 * mib
	// updateSize is the length of each of the two generated files.
	updateSize = 128 * mib
	// realHost is a name of the demo's own, updateHost one of the built-in
	// catalogue.
	realHost   = "go.demo.example"
	updateHost = "au.download.windowsupdate.com"
)

// catalogue is all that is served.
type catalogue struct {
	// root is the folder of the real files.
	root      string
	objects   []*herd.Object
	generated []faultorigin.Object
	real      int
	bytes     int64
}

// collect finds the files and computes the digests of each.
func collect(ctx context.Context, small bool) (*catalogue, error) {
	scale := int64(1)
	if small {
		scale = 10
	}
	root, err := goroot(ctx)
	if err != nil {
		return nil, err
	}
	c := &catalogue{root: root}
	files, err := largest(root, realBytes/scale)
	if err != nil {
		return nil, err
	}
	c.real = len(files)
	for _, f := range files {
		c.add(realHost, escape(f.name), f.size)
	}
	for i := range 2 {
		o := faultorigin.Object{Path: fmt.Sprintf("/filestreamingservice/files/demo-update-%d.cab", i+1), Size: updateSize / scale}
		c.generated = append(c.generated, o)
		c.add(updateHost, o.Path, o.Size)
	}
	// Large and small in one fixed order, the second generated file last.
	mixed := c.objects[:len(c.objects)-1]
	rand.New(rand.NewPCG(2, 26)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return c, c.sum(ctx)
}

func (c *catalogue) add(host, path string, size int64) {
	c.objects = append(c.objects, &herd.Object{Host: host, Path: path, Size: size})
	c.bytes += size
}

// sum computes the SHA-256 of every object and of each of its pieces.
func (c *catalogue) sum(ctx context.Context) error {
	errs := make([]error, len(c.objects))
	queue := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range queue {
				errs[i] = c.sumOne(c.objects[i])
			}
		})
	}
	for i := range c.objects {
		if ctx.Err() != nil {
			break
		}
		queue <- i
	}
	close(queue)
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func (c *catalogue) sumOne(o *herd.Object) error {
	content := make([]byte, o.Size)
	if o.Host == updateHost {
		faultorigin.Fill(content, o.Path, faultorigin.DefaultVersion, 0)
	} else {
		name, err := url.PathUnescape(o.Path)
		if err != nil {
			return err
		}
		if content, err = os.ReadFile(filepath.Join(c.root, name)); err != nil {
			return err
		}
		if int64(len(content)) != o.Size {
			return fmt.Errorf("%s changes while it is read", name)
		}
	}
	o.Check = herd.Sum(content).Check
	return nil
}

// goroot returns the folder of the Go distribution.
func goroot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	root, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	if err != nil {
		return "", fmt.Errorf("find the Go distribution: %w", err)
	}
	return root, nil
}

type realFile struct {
	name string // below the root, with slashes
	size int64
}

// largest returns the largest files below root that make up want bytes.
func largest(root string, want int64) ([]realFile, error) {
	var all []realFile
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		all = append(all, realFile{filepath.ToSlash(name), info.Size()})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the Go distribution: %w", err)
	}
	slices.SortFunc(all, func(a, b realFile) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	var sum int64
	for i, f := range all {
		if sum += f.size; sum >= want {
			return all[:i+1], nil
		}
	}
	return nil, fmt.Errorf("%s holds only %d MiB", root, sum/mib)
}

// escape makes a path of a URL.
func escape(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/" + strings.Join(parts, "/")
}
