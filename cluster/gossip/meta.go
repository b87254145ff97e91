package gossip

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// MaxIncarnation bounds incarnations, so that one can always be raised.
const MaxIncarnation = 1 << 62

// maxName bounds names and zones, in bytes.
const maxName = 64

// ErrMeta refuses what a node says of itself.
var ErrMeta = errors.New("unusable node metadata")

// Member is a node that answers.
type Member struct {
	ID, Name, Zone string
	// PeerAddr and GossipAddr are "host:port".
	PeerAddr, GossipAddr string
	// Draining: it answers, but its successors are to act for it.
	Draining bool
	// Incarnation orders what is known of one id.
	Incarnation uint64
	// FormatVersion is the ring format that it computes.
	FormatVersion uint32
	// Started is when its process started, by its own clock.
	Started time.Time
	Told
}

// encodeMeta returns m as NodeMeta, or an error where m does not fit or would
// be refused by others.
func encodeMeta(m Member) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&clusterv1.NodeMeta{
		Id:            m.ID,
		Name:          m.Name,
		Zone:          m.Zone,
		PeerAddr:      m.PeerAddr,
		Draining:      m.Draining,
		FormatVersion: m.FormatVersion,
		Incarnation:   m.Incarnation,
		StartTimeMs:   m.Started.UnixMilli(),
		Keyring:       m.Keyring,
		ViewDigest:    m.ViewDigest,
		Applied:       m.Applied,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMeta, err)
	}
	if _, err := decodeMeta(b); err != nil {
		return nil, err
	}
	return b, nil
}

// decodeMeta reads what another node says of itself. It never panics; what it
// returns obeys the bounds.
func decodeMeta(b []byte) (Member, error) {
	if len(b) > memberlist.MetaMaxSize {
		return Member{}, fmt.Errorf("%w: %d bytes, the most is %d", ErrMeta, len(b), memberlist.MetaMaxSize)
	}
	var p clusterv1.NodeMeta
	if err := proto.Unmarshal(b, &p); err != nil {
		return Member{}, fmt.Errorf("%w: not a NodeMeta", ErrMeta)
	}
	m := Member{
		ID:            p.GetId(),
		Name:          p.GetName(),
		Zone:          p.GetZone(),
		PeerAddr:      p.GetPeerAddr(),
		Draining:      p.GetDraining(),
		FormatVersion: p.GetFormatVersion(),
		Incarnation:   p.GetIncarnation(),
		Started:       time.UnixMilli(p.GetStartTimeMs()),
		Told:          Told{Keyring: p.GetKeyring(), ViewDigest: p.GetViewDigest(), Applied: p.GetApplied()},
	}
	for _, err := range []error{
		CheckID(m.ID), CheckName("name", m.Name), CheckName("zone", m.Zone), CheckAddr("peer address", m.PeerAddr),
	} {
		if err != nil {
			return Member{}, fmt.Errorf("%w: %w", ErrMeta, err)
		}
	}
	if m.Incarnation == 0 || m.Incarnation > MaxIncarnation {
		return Member{}, fmt.Errorf("%w: incarnation %d", ErrMeta, m.Incarnation)
	}
	return m, nil
}

// CheckID reports whether id is a node's id: 32 lower-case hexadecimal digits.
func CheckID(id string) error {
	ok := len(id) == 32
	for i := 0; ok && i < len(id); i++ {
		ok = '0' <= id[i] && id[i] <= '9' || 'a' <= id[i] && id[i] <= 'f'
	}
	if !ok {
		return fmt.Errorf("node id %.40q is not 32 lower-case hexadecimal digits", id)
	}
	return nil
}

// CheckName reports whether s may be a name or a zone: at most 64 bytes,
// printable.
func CheckName(what, s string) error {
	if len(s) > maxName {
		return fmt.Errorf("%s has %d bytes, the most is %d", what, len(s), maxName)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s %q is not UTF-8", what, s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s %q has a character that does not print", what, s)
		}
	}
	return nil
}

// CheckAddr reports whether addr is "host:port" with a port that can be
// dialled.
func CheckAddr(what, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" || len(addr) > 255 || CheckName(what, host[:min(len(host), maxName)]) != nil {
		return fmt.Errorf("%s %.80q is not host:port", what, addr)
	}
	return nil
}
