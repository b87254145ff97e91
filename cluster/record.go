package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/mccd/mccd/cluster/gossip"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

const (
	// directoryVersion is the version of what Directory means.
	directoryVersion = 1
	// maxRecords bounds a directory, maxEncoded its encoding in bytes.
	maxRecords = 4096
	maxEncoded = 4 << 20
	// leftKept is how long a departure is remembered, so that a node that was
	// away meanwhile does not bring the departed back.
	leftKept = 30 * 24 * time.Hour
)

// errDirectory refuses what came as a directory.
var errDirectory = errors.New("unusable member directory")

// record is what is known of one node, living or not. It is comparable.
type record struct {
	id, name, zone       string
	peerAddr, gossipAddr string
	incarnation          uint64
	left                 bool
	leftUnix             int64
	// absent is how long this node has missed it; never exchanged.
	absent time.Duration
}

// compareRecords is the order in which records of one id supersede each
// other, the greater the newer: by incarnation; of one incarnation, left beats
// member; then by content, so that all nodes choose alike.
func compareRecords(a, b record) int {
	return cmp.Or(
		cmp.Compare(a.incarnation, b.incarnation),
		compareBool(a.left, b.left),
		cmp.Compare(a.leftUnix, b.leftUnix),
		cmp.Compare(a.zone, b.zone),
		cmp.Compare(a.name, b.name),
		cmp.Compare(a.peerAddr, b.peerAddr),
		cmp.Compare(a.gossipAddr, b.gossipAddr),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// check reports whether other nodes may be told r.
func (r *record) check() error {
	err := cmp.Or(
		gossip.CheckID(r.id),
		gossip.CheckName("name", r.name),
		gossip.CheckName("zone", r.zone),
		gossip.CheckAddr("peer address", r.peerAddr),
		gossip.CheckAddr("gossip address", r.gossipAddr),
	)
	if err != nil {
		return err
	}
	if r.incarnation == 0 || r.incarnation > gossip.MaxIncarnation {
		return fmt.Errorf("incarnation %d", r.incarnation)
	}
	if r.leftUnix < 0 || !r.left && r.leftUnix != 0 || r.absent < 0 {
		return errors.New("times that cannot be")
	}
	return nil
}

// encodeDirectory returns records, which are sorted by id, as a Directory.
// Absences are for files only.
func encodeDirectory(records []record, absences bool) []byte {
	d := &clusterv1.Directory{Version: directoryVersion}
	for _, r := range records {
		p := &clusterv1.MemberRecord{
			Id: r.id, Name: r.name, Zone: r.zone, PeerAddr: r.peerAddr, GossipAddr: r.gossipAddr,
			Incarnation: r.incarnation, Membership: clusterv1.Membership_MEMBERSHIP_MEMBER, LeftUnix: r.leftUnix,
		}
		if r.left {
			p.Membership = clusterv1.Membership_MEMBERSHIP_LEFT
		}
		if absences {
			p.AbsentSeconds = int64(r.absent / time.Second)
		}
		d.Records = append(d.Records, p)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
	if err != nil {
		return nil // only strings that are not UTF-8; check has seen them
	}
	return b
}

// decodeDirectory reads a Directory. Records that break the bounds are left
// out and counted; what cannot be read at all is an error. It never panics.
func decodeDirectory(b []byte) (records []record, refused int, err error) {
	if len(b) > maxEncoded {
		return nil, 0, fmt.Errorf("%w: %d bytes, the most is %d", errDirectory, len(b), maxEncoded)
	}
	var d clusterv1.Directory
	if err := proto.Unmarshal(b, &d); err != nil {
		return nil, 0, fmt.Errorf("%w: not a Directory", errDirectory)
	}
	if d.GetVersion() != directoryVersion {
		return nil, 0, fmt.Errorf("%w: version %d", errDirectory, d.GetVersion())
	}
	if n := len(d.GetRecords()); n > maxRecords {
		return nil, 0, fmt.Errorf("%w: %d records, the most is %d", errDirectory, n, maxRecords)
	}
	for _, p := range d.GetRecords() {
		r := record{
			id: p.GetId(), name: p.GetName(), zone: p.GetZone(), peerAddr: p.GetPeerAddr(), gossipAddr: p.GetGossipAddr(),
			incarnation: p.GetIncarnation(), left: p.GetMembership() == clusterv1.Membership_MEMBERSHIP_LEFT,
			leftUnix: p.GetLeftUnix(),
		}
		if s := p.GetAbsentSeconds(); s > 0 && s < int64(maxAbsent/time.Second) {
			r.absent = time.Duration(s) * time.Second
		}
		if m := p.GetMembership(); m != clusterv1.Membership_MEMBERSHIP_MEMBER && !r.left || r.check() != nil {
			refused++
			continue
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b record) int { return cmp.Or(cmp.Compare(a.id, b.id), compareRecords(a, b)) })
	return records, refused, nil
}

// maxAbsent bounds absences, far below an overflow.
const maxAbsent = 100 * 365 * 24 * time.Hour
