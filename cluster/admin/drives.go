package admin

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// Drives changes a node's drives while it runs. progress is told the bytes moved
// and in all, by one goroutine.
type Drives interface {
	AddDrive(ctx context.Context, path string, size int64) error
	RemoveDrive(ctx context.Context, path string, drop bool, progress func(done, total int64)) error
	ReplaceDrive(ctx context.Context, old, path string, size int64, progress func(done, total int64)) error
	// DrivesYAML is what "drives" of the configuration file has to be for the
	// next start to have the drives that there are now.
	DrivesYAML() string
}

// progressEvery is how often a call that moves content tells how far it is.
const progressEvery = 500 * time.Millisecond

var errNoDrives = status.Error(codes.Unimplemented, "drives cannot be changed here")

func (s *service) AddDrive(ctx context.Context, req *adminv1.AddDriveRequest) (*adminv1.AddDriveResponse, error) {
	if s.cfg.Drives == nil {
		return nil, errNoDrives
	}
	if req.GetPath() == "" || req.GetSizeBytes() <= 0 {
		return nil, status.Error(codes.InvalidArgument, "add a drive: name its directory and its size")
	}
	if err := s.cfg.Drives.AddDrive(ctx, req.GetPath(), req.GetSizeBytes()); err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.AddDriveResponse{DrivesYaml: s.cfg.Drives.DrivesYAML()}, nil
}

func (s *service) RemoveDrive(req *adminv1.RemoveDriveRequest, stream grpc.ServerStreamingServer[adminv1.RemoveDriveResponse]) error {
	if s.cfg.Drives == nil {
		return errNoDrives
	}
	if req.GetPath() == "" {
		return status.Error(codes.InvalidArgument, "remove a drive: name its directory (mccd drive list)")
	}
	ctx := stream.Context()
	tell := paced(func(done, total int64) error {
		return stream.Send(&adminv1.RemoveDriveResponse{DoneBytes: done, TotalBytes: total})
	})
	if err := s.cfg.Drives.RemoveDrive(ctx, req.GetPath(), req.GetDrop(), tell); err != nil {
		return wireError(ctx, err)
	}
	return stream.Send(&adminv1.RemoveDriveResponse{DrivesYaml: s.cfg.Drives.DrivesYAML()})
}

func (s *service) ReplaceDrive(req *adminv1.ReplaceDriveRequest, stream grpc.ServerStreamingServer[adminv1.ReplaceDriveResponse]) error {
	if s.cfg.Drives == nil {
		return errNoDrives
	}
	if req.GetOldPath() == "" || req.GetPath() == "" || req.GetSizeBytes() <= 0 {
		return status.Error(codes.InvalidArgument, "replace a drive: name both directories and the new one's size")
	}
	ctx := stream.Context()
	tell := paced(func(done, total int64) error {
		return stream.Send(&adminv1.ReplaceDriveResponse{DoneBytes: done, TotalBytes: total})
	})
	if err := s.cfg.Drives.ReplaceDrive(ctx, req.GetOldPath(), req.GetPath(), req.GetSizeBytes(), tell); err != nil {
		return wireError(ctx, err)
	}
	return stream.Send(&adminv1.ReplaceDriveResponse{DrivesYaml: s.cfg.Drives.DrivesYAML()})
}

// paced returns send for who calls it more often than anybody reads. What it
// cannot send is nobody's loss: the stream's context ends then.
func paced(send func(done, total int64) error) func(done, total int64) {
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			_ = send(done, total)
		}
	}
}

// AddDrive takes a drive in, and returns what "drives" of the configuration file
// has to be.
func (c *Client) AddDrive(ctx context.Context, path string, size int64) (yaml string, err error) {
	resp, err := c.rpc.AddDrive(ctx, &adminv1.AddDriveRequest{Path: path, SizeBytes: size})
	if err != nil {
		return "", plain(err)
	}
	return resp.GetDrivesYaml(), nil
}

// RemoveDrive lets go of a drive; progress is told how far it is.
func (c *Client) RemoveDrive(ctx context.Context, path string, drop bool, progress func(done, total int64)) (yaml string, err error) {
	stream, err := c.rpc.RemoveDrive(ctx, &adminv1.RemoveDriveRequest{Path: path, Drop: drop})
	if err != nil {
		return "", plain(err)
	}
	return follow(stream.Recv, progress)
}

// ReplaceDrive takes a drive in and lets go of old.
func (c *Client) ReplaceDrive(ctx context.Context, old, path string, size int64, progress func(done, total int64)) (yaml string, err error) {
	stream, err := c.rpc.ReplaceDrive(ctx, &adminv1.ReplaceDriveRequest{OldPath: old, Path: path, SizeBytes: size})
	if err != nil {
		return "", plain(err)
	}
	return follow(stream.Recv, progress)
}

// moved is what a call that moves content answers.
type moved interface {
	GetDoneBytes() int64
	GetTotalBytes() int64
	GetDrivesYaml() string
}

func follow[M moved](next func() (M, error), progress func(done, total int64)) (yaml string, err error) {
	for {
		m, err := next()
		if errors.Is(err, io.EOF) {
			return yaml, nil
		}
		if err != nil {
			return "", plain(err)
		}
		if yaml = m.GetDrivesYaml(); yaml == "" {
			progress(m.GetDoneBytes(), m.GetTotalBytes())
		}
	}
}

func drivesToProto(drives []Drive) (out []*adminv1.Drive) {
	for _, d := range drives {
		p := &adminv1.Drive{
			Path: d.Path, SizeBytes: d.Size, UsedBytes: d.Used, Chunks: d.Chunks, State: driveStateToProto(d.State), Reason: d.Reason,
			CorruptBlocks: d.Corrupt, CorruptToday: d.CorruptToday, Failing: d.Failing, ForeignBytes: d.Foreign,
			ScrubRounds: d.ScrubRounds, ScrubProgress: d.ScrubProgress,
		}
		if !d.Scrubbed.IsZero() {
			p.ScrubTime = timestamppb.New(d.Scrubbed)
		}
		out = append(out, p)
	}
	return out
}

func drivesFromProto(drives []*adminv1.Drive) (out []Drive) {
	for _, p := range drives {
		d := Drive{
			Path: p.GetPath(), Size: p.GetSizeBytes(), Used: p.GetUsedBytes(), Chunks: p.GetChunks(),
			State: driveStateFromProto(p.GetState()), Reason: p.GetReason(),
			Corrupt: p.GetCorruptBlocks(), CorruptToday: p.GetCorruptToday(), Failing: p.GetFailing(), Foreign: p.GetForeignBytes(),
			ScrubRounds: p.GetScrubRounds(), ScrubProgress: p.GetScrubProgress(),
		}
		if t := p.GetScrubTime(); t.IsValid() {
			d.Scrubbed = t.AsTime()
		}
		out = append(out, d)
	}
	return out
}

func driveStateToProto(s string) adminv1.DriveState {
	for p, text := range driveStates() {
		if text == s {
			return p
		}
	}
	return adminv1.DriveState_DRIVE_STATE_UNSPECIFIED
}

func driveStateFromProto(s adminv1.DriveState) string {
	if text, ok := driveStates()[s]; ok {
		return text
	}
	return "unknown"
}

func driveStates() map[adminv1.DriveState]string {
	return map[adminv1.DriveState]string{
		adminv1.DriveState_DRIVE_STATE_OK:        "ok",
		adminv1.DriveState_DRIVE_STATE_FULL:      "full",
		adminv1.DriveState_DRIVE_STATE_READ_ONLY: "read-only",
		adminv1.DriveState_DRIVE_STATE_FAILED:    "failed",
		adminv1.DriveState_DRIVE_STATE_SLOW:      "slow",
		adminv1.DriveState_DRIVE_STATE_MISSING:   "missing",
		adminv1.DriveState_DRIVE_STATE_LEAVING:   "leaving",
	}
}
