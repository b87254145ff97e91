package state

import (
	"slices"

	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// Between this package's plain records and the generated ones. An empty list
// is nil on both sides, so that a State survives the way to a file unchanged.

// each maps from with f; nil where there is nothing.
func each[A, B any](from []A, f func(A) B) []B {
	if len(from) == 0 {
		return nil
	}
	to := make([]B, len(from))
	for i, v := range from {
		to[i] = f(v)
	}
	return to
}

// own returns a copy; nil where there is nothing.
func own[T any](from []T) []T {
	if len(from) == 0 {
		return nil
	}
	return slices.Clone(from)
}

func stateTo(s *State) *clusterv1.State {
	return &clusterv1.State{
		Format: Format, ClusterId: s.ClusterID, Generation: s.Generation, Index: s.Index, Placement: s.Placement,
		RingFormat: s.RingFormat, WeightUnit: s.WeightUnit, Nodes: each(s.Nodes, nodeTo), Config: configTo(s.Config),
		Version: versionTo(s.Version), Tokens: each(s.Tokens, tokenTo), Trust: trustTo(s.Trust), Gossip: keyringTo(s.Gossip),
		SealingKeyId: s.SealingKeyID, TlsKeys: each(s.TLSKeys, tlsKeyTo), Purge: purgesTo(s.Purge),
		Pins: each(s.Pins, pinTo), Jobs: each(s.Jobs, jobTo), RecoveryId: s.RecoveryID,
	}
}

func stateFrom(p *clusterv1.State) *State {
	return &State{
		ClusterID: p.GetClusterId(), Generation: p.GetGeneration(), Index: p.GetIndex(), Placement: p.GetPlacement(),
		RingFormat: p.GetRingFormat(), WeightUnit: p.GetWeightUnit(), Nodes: each(p.GetNodes(), nodeFrom), Config: configFrom(p.GetConfig()),
		Version: versionFrom(p.GetVersion()), Tokens: each(p.GetTokens(), tokenFrom), Trust: trustFrom(p.GetTrust()), Gossip: keyringFrom(p.GetGossip()),
		SealingKeyID: p.GetSealingKeyId(), TLSKeys: each(p.GetTlsKeys(), tlsKeyFrom), Purge: purgesFrom(p.GetPurge()),
		Pins: each(p.GetPins(), pinFrom), Jobs: each(p.GetJobs(), jobFrom), RecoveryID: p.GetRecoveryId(),
	}
}

func nodeTo(n Node) *clusterv1.NodeRecord {
	return &clusterv1.NodeRecord{
		Id: n.ID, Name: n.Name, Zone: n.Zone, Weight: int32(n.Weight), DriveBytes: n.DriveBytes, State: clusterv1.NodeState(n.State),
		PeerAddr: n.PeerAddr, GossipAddr: n.GossipAddr, Key: n.Key, CertSerial: n.CertSerial, CertNotAfter: n.CertNotAfter,
		JoinKey: n.JoinKey, Removed: n.Removed, Release: n.Release, MinVersion: n.MinVersion, MaxVersion: n.MaxVersion,
		ChangedUnix: n.ChangedUnix,
	}
}

func nodeFrom(p *clusterv1.NodeRecord) Node {
	return Node{
		ID: p.GetId(), Name: p.GetName(), Zone: p.GetZone(), Weight: int(p.GetWeight()), DriveBytes: p.GetDriveBytes(), State: NodeState(p.GetState()),
		PeerAddr: p.GetPeerAddr(), GossipAddr: p.GetGossipAddr(), Key: p.GetKey(), CertSerial: p.GetCertSerial(), CertNotAfter: p.GetCertNotAfter(),
		JoinKey: p.GetJoinKey(), Removed: p.GetRemoved(), Release: p.GetRelease(), MinVersion: p.GetMinVersion(), MaxVersion: p.GetMaxVersion(),
		ChangedUnix: p.GetChangedUnix(),
	}
}

func configTo(c Config) *clusterv1.Configuration {
	return &clusterv1.Configuration{
		Revision: c.Revision,
		Origins: each(c.Origins, func(o Origin) *clusterv1.OriginRule {
			return &clusterv1.OriginRule{Name: o.Name, Hosts: own(o.Hosts), Yaml: o.YAML}
		}),
		Limits: &clusterv1.ClusterLimits{WanBytesPerSecond: c.Limits.WANBytesPerSecond, RequestsPerOrigin: c.Limits.RequestsPerOrigin},
	}
}

func configFrom(p *clusterv1.Configuration) Config {
	return Config{
		Revision: p.GetRevision(),
		Origins: each(p.GetOrigins(), func(o *clusterv1.OriginRule) Origin {
			return Origin{Name: o.GetName(), Hosts: own(o.GetHosts()), YAML: o.GetYaml()}
		}),
		Limits: Limits{WANBytesPerSecond: p.GetLimits().GetWanBytesPerSecond(), RequestsPerOrigin: p.GetLimits().GetRequestsPerOrigin()},
	}
}

func versionTo(v Version) *clusterv1.ClusterVersion {
	return &clusterv1.ClusterVersion{Number: v.Number, Gates: own(v.Gates)}
}

func versionFrom(p *clusterv1.ClusterVersion) Version {
	return Version{Number: p.GetNumber(), Gates: own(p.GetGates())}
}

func tokenTo(t Token) *clusterv1.TokenRecord {
	return &clusterv1.TokenRecord{
		Id: t.ID, Hash: t.Hash, Note: t.Note, ExpiresUnix: t.ExpiresUnix, Uses: t.Uses, Revoked: t.Revoked,
		Joined: own(t.Joined), CreatedUnix: t.CreatedUnix,
	}
}

func tokenFrom(p *clusterv1.TokenRecord) Token {
	return Token{
		ID: p.GetId(), Hash: p.GetHash(), Note: p.GetNote(), ExpiresUnix: p.GetExpiresUnix(), Uses: p.GetUses(), Revoked: p.GetRevoked(),
		Joined: own(p.GetJoined()), CreatedUnix: p.GetCreatedUnix(),
	}
}

func trustTo(t Trust) *clusterv1.TrustRecord {
	return &clusterv1.TrustRecord{Cas: each(t.CAs, own[byte]), SealedKey: own(t.SealedKey)}
}

func trustFrom(p *clusterv1.TrustRecord) Trust {
	return Trust{CAs: each(p.GetCas(), own[byte]), SealedKey: own(p.GetSealedKey())}
}

func keyringTo(k Keyring) *clusterv1.KeyringRecord {
	return &clusterv1.KeyringRecord{Version: k.Version, Sealed: own(k.Sealed), Phase: clusterv1.RotationPhase(k.Phase), ChangedUnix: k.ChangedUnix}
}

func keyringFrom(p *clusterv1.KeyringRecord) Keyring {
	return Keyring{Version: p.GetVersion(), Sealed: own(p.GetSealed()), Phase: RotationPhase(p.GetPhase()), ChangedUnix: p.GetChangedUnix()}
}

func tlsKeyTo(k TLSKey) *clusterv1.TLSKeyRecord {
	return &clusterv1.TLSKeyRecord{Name: k.Name, CertPem: own(k.CertPEM), SealedKey: own(k.SealedKey)}
}

func tlsKeyFrom(p *clusterv1.TLSKeyRecord) TLSKey {
	return TLSKey{Name: p.GetName(), CertPEM: own(p.GetCertPem()), SealedKey: own(p.GetSealedKey())}
}

func purgesTo(p Purges) *clusterv1.PurgeRecord {
	return &clusterv1.PurgeRecord{Index: p.Index, Dropped: p.Dropped, Marks: each(p.Marks, markTo)}
}

func purgesFrom(p *clusterv1.PurgeRecord) Purges {
	return Purges{Index: p.GetIndex(), Dropped: p.GetDropped(), Marks: each(p.GetMarks(), markFrom)}
}

func markTo(m PurgeMark) *clusterv1.PurgeMarkRecord {
	return &clusterv1.PurgeMarkRecord{
		Index: m.Index, Id: m.ID, Host: m.Host, Path: m.Path, Prefix: m.Prefix, CreatedUnix: m.CreatedUnix, Acked: own(m.Acked),
		Product: m.Product,
	}
}

func markFrom(p *clusterv1.PurgeMarkRecord) PurgeMark {
	return PurgeMark{
		Index: p.GetIndex(), ID: p.GetId(), Host: p.GetHost(), Path: p.GetPath(), Prefix: p.GetPrefix(), CreatedUnix: p.GetCreatedUnix(), Acked: own(p.GetAcked()),
		Product: p.GetProduct(),
	}
}

func pinTo(p Pin) *clusterv1.PinRecord {
	return &clusterv1.PinRecord{Host: p.Host, Path: p.Path, Prefix: p.Prefix, UntilUnix: p.UntilUnix}
}

func pinFrom(p *clusterv1.PinRecord) Pin {
	return Pin{Host: p.GetHost(), Path: p.GetPath(), Prefix: p.GetPrefix(), UntilUnix: p.GetUntilUnix()}
}

func jobTo(j Job) *clusterv1.JobRecord {
	return &clusterv1.JobRecord{
		Id: j.ID, Kind: j.Kind, Node: j.Node, Detail: j.Detail, Status: j.Status, Done: j.Done, Total: j.Total, ChangedUnix: j.ChangedUnix,
	}
}

func jobFrom(p *clusterv1.JobRecord) Job {
	return Job{
		ID: p.GetId(), Kind: p.GetKind(), Node: p.GetNode(), Detail: p.GetDetail(), Status: p.GetStatus(), Done: p.GetDone(), Total: p.GetTotal(), ChangedUnix: p.GetChangedUnix(),
	}
}
