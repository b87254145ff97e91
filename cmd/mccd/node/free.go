package node

import (
	"context"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/storage/disk"
)

// freer lets an operator make room on the drives.
type freer struct{ store *disk.Store }

// FreeDrive implements admin.Freer.
func (f freer) FreeDrive(ctx context.Context, path string, room int64) (admin.Freed, error) {
	got, err := f.store.FreeDrive(ctx, path, room)
	return admin.Freed{
		Chunks: int64(got.Files), Bytes: got.Bytes, Room: got.Room, Busy: int64(got.Busy), Pinned: int64(got.Pinned),
	}, err
}
