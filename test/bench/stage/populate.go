package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// SmallSize is the length of the objects of Populate: one page.
const SmallSize = 4096

// SmallPath is the path of small object i.
func SmallPath(i int) string { return fmt.Sprintf("/files/small/%d", i) }

// Populate gives the drive of a node that does not run n chunk files with
// their records, each of an object of one page that the origin has as well:
// what many small objects leave behind, and the most files for the least bytes.
func Populate(ctx context.Context, drive string, n int) (err error) {
	store, err := disk.New(disk.Config{Drives: []disk.Drive{{Path: drive, Size: 1 << 50}}, MinFree: -1, IdleAfter: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	workers := 2 * runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for i := k; i < n && errs[k] == nil && ctx.Err() == nil; i += workers {
				errs[k] = populate(ctx, store, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// populate stores small object i.
func populate(ctx context.Context, store *disk.Store, i int) error {
	path := SmallPath(i)
	ref := storage.Ref{Scheme: "http", Host: Host, Path: path}
	o := &storage.Object{
		ID: ref.ID(), Host: Host, Path: path,
		Version: storage.Version{Kind: storage.ValidatorETag, ETag: faultorigin.ETag(path, faultorigin.DefaultVersion), Size: SmallSize},
		Header:  http.Header{"Content-Type": {"application/octet-stream"}, "Accept-Ranges": {"bytes"}},
		// Fresh for longer than any measurement takes.
		ValidatedAt: time.Now(), FreshFor: 30 * 24 * time.Hour, Registration: 1,
	}
	chunk, err := store.Create(ctx, o.Key(0), o.Version)
	if err != nil {
		return err
	}
	defer chunk.Release()
	w, err := chunk.BeginWrite()
	if err != nil {
		return err
	}
	defer w.End()
	content := make([]byte, SmallSize)
	faultorigin.Fill(content, path, faultorigin.DefaultVersion, 0)
	if err := w.WriteBlock(0, [][]byte{content}); err != nil {
		return err
	}
	return store.PutRecord(o)
}

// Indexed waits until the node has found at least chunks chunk files.
func Indexed(ctx context.Context, n *process.Node, chunks int) error {
	err := process.Poll(ctx, func(ctx context.Context) error {
		m, err := n.Metrics(ctx)
		if err != nil {
			return err
		}
		if found := int(m.Sum("mccd_disk_chunks")); found < chunks {
			return fmt.Errorf("%d chunks found", found)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s has indexed %d chunks: %w", n.Name, chunks, err)
	}
	return nil
}
