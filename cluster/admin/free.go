package admin

import (
	"context"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// AllRoom is more than any drive has: all that can go goes.
const AllRoom = math.MaxInt64

// Freed is what FreeDrive did.
type Freed struct {
	// Chunks went, which took Bytes.
	Chunks, Bytes int64
	// Room is what is free below the drive's limit now. Where that is less
	// than was asked for, Busy chunks stay that are in use, and Pinned ones.
	Room, Busy, Pinned int64
}

// Freer makes room on a node's drives.
type Freer interface {
	// FreeDrive evicts until room bytes are free below the limit of the drive
	// at path.
	FreeDrive(ctx context.Context, path string, room int64) (Freed, error)
}

func (s *service) FreeDrive(ctx context.Context, req *adminv1.FreeDriveRequest) (*adminv1.FreeDriveResponse, error) {
	room := req.GetRoomBytes()
	if req.GetAll() {
		room = AllRoom
	}
	switch {
	case s.cfg.Freer == nil:
		return nil, status.Error(codes.Unimplemented, "free a drive: this node has none")
	case req.GetPath() == "" || room <= 0:
		return nil, status.Error(codes.InvalidArgument, "free a drive: name its directory, and the room to be made or all")
	}
	f, err := s.cfg.Freer.FreeDrive(ctx, req.GetPath(), room)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.FreeDriveResponse{
		Chunks: f.Chunks, FreedBytes: f.Bytes, RoomBytes: f.Room, Busy: f.Busy, Pinned: f.Pinned,
	}, nil
}

// FreeDrive makes room on the drive at path: room bytes, or all with AllRoom.
func (c *Client) FreeDrive(ctx context.Context, path string, room int64) (Freed, error) {
	req := &adminv1.FreeDriveRequest{Path: path, RoomBytes: room}
	if room == AllRoom {
		req.RoomBytes, req.All = 0, true
	}
	resp, err := c.rpc.FreeDrive(ctx, req)
	if err != nil {
		return Freed{}, plain(err)
	}
	return Freed{
		Chunks: resp.GetChunks(), Bytes: resp.GetFreedBytes(), Room: resp.GetRoomBytes(), Busy: resp.GetBusy(), Pinned: resp.GetPinned(),
	}, nil
}
