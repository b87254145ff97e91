package admin

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

func stateToProto(s string) adminv1.State {
	switch s {
	case "alive":
		return adminv1.State_STATE_ALIVE
	case "draining":
		return adminv1.State_STATE_DRAINING
	case "failed":
		return adminv1.State_STATE_FAILED
	case "none":
		return adminv1.State_STATE_NONE
	default:
		return adminv1.State_STATE_UNSPECIFIED
	}
}

func stateFromProto(s adminv1.State) string {
	switch s {
	case adminv1.State_STATE_ALIVE:
		return "alive"
	case adminv1.State_STATE_DRAINING:
		return "draining"
	case adminv1.State_STATE_FAILED:
		return "failed"
	case adminv1.State_STATE_NONE:
		return "none"
	default:
		return "unknown"
	}
}

func driveStateToProto(s string) adminv1.DriveState {
	switch s {
	case "ok":
		return adminv1.DriveState_DRIVE_STATE_OK
	case "full":
		return adminv1.DriveState_DRIVE_STATE_FULL
	case "read-only":
		return adminv1.DriveState_DRIVE_STATE_READ_ONLY
	case "failed":
		return adminv1.DriveState_DRIVE_STATE_FAILED
	default:
		return adminv1.DriveState_DRIVE_STATE_UNSPECIFIED
	}
}

func driveStateFromProto(s adminv1.DriveState) string {
	switch s {
	case adminv1.DriveState_DRIVE_STATE_OK:
		return "ok"
	case adminv1.DriveState_DRIVE_STATE_FULL:
		return "full"
	case adminv1.DriveState_DRIVE_STATE_READ_ONLY:
		return "read-only"
	case adminv1.DriveState_DRIVE_STATE_FAILED:
		return "failed"
	default:
		return "unknown"
	}
}

func statusToProto(s Status) *adminv1.StatusResponse {
	p := &adminv1.StatusResponse{
		NodeId: s.NodeID, Name: s.Name, Zone: s.Zone, Version: s.Version,
		ViewDigest: s.ViewDigest, ViewSerial: s.ViewSerial, Nodes: nodesToProto(s.Nodes), Warnings: s.Warnings,
		Cluster: clusterToProto(s.Cluster),
		Cache: &adminv1.Cache{
			HitBytes: s.Cache.HitBytes, PeerBytes: s.Cache.PeerBytes, MissBytes: s.Cache.MissBytes,
			Requests: s.Cache.Requests, OriginBytes: s.Cache.OriginBytes, Flights: s.Cache.Flights,
		},
	}
	if !s.Started.IsZero() {
		p.StartTime = timestamppb.New(s.Started)
	}
	for _, a := range s.Addresses {
		p.Addresses = append(p.Addresses, &adminv1.Address{Purpose: a.Purpose, Address: a.Address})
	}
	for _, d := range s.Drives {
		p.Drives = append(p.Drives, &adminv1.Drive{
			Path: d.Path, SizeBytes: d.Size, UsedBytes: d.Used, Chunks: d.Chunks,
			State: driveStateToProto(d.State), Reason: d.Reason,
		})
	}
	return p
}

func statusFromProto(p *adminv1.StatusResponse) Status {
	c := p.GetCache()
	s := Status{
		NodeID: p.GetNodeId(), Name: p.GetName(), Zone: p.GetZone(), Version: p.GetVersion(),
		ViewDigest: p.GetViewDigest(), ViewSerial: p.GetViewSerial(), Nodes: nodesFromProto(p.GetNodes()),
		Warnings: p.GetWarnings(), Cluster: clusterFromProto(p.GetCluster()),
		Cache: Cache{
			HitBytes: c.GetHitBytes(), PeerBytes: c.GetPeerBytes(), MissBytes: c.GetMissBytes(),
			Requests: c.GetRequests(), OriginBytes: c.GetOriginBytes(), Flights: c.GetFlights(),
		},
	}
	if t := p.GetStartTime(); t.IsValid() {
		s.Started = t.AsTime()
	}
	for _, a := range p.GetAddresses() {
		s.Addresses = append(s.Addresses, Address{Purpose: a.GetPurpose(), Address: a.GetAddress()})
	}
	for _, d := range p.GetDrives() {
		s.Drives = append(s.Drives, Drive{
			Path: d.GetPath(), Size: d.GetSizeBytes(), Used: d.GetUsedBytes(), Chunks: d.GetChunks(),
			State: driveStateFromProto(d.GetState()), Reason: d.GetReason(),
		})
	}
	return s
}
