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
	p.Drives = drivesToProto(s.Drives)
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
	s.Drives = drivesFromProto(p.GetDrives())
	return s
}
