package state

import (
	"fmt"
	"slices"
)

// Apply applies an encoded command that stands at index in the log to s, which
// it never modifies, and returns the next State, whose Index is index also where
// the command found all as it wants it. It is a pure function, the same on all
// nodes: no clock, no chance, no order of a map. A command that is refused gives
// s itself and says why in Result.Err; one that Decode refuses must not be
// skipped by a log's reader.
func Apply(s *State, raw []byte, index uint64) (*State, Result) {
	c, now, err := Decode(raw)
	result := Result{Index: index, TimeUnix: now}
	if err != nil {
		result.Err = err
		return s, result
	}
	next := *s
	t := &change{State: &next, now: now, index: index, result: &result}
	if result.Err = t.apply(c); result.Err == nil && t.changed && grows(c) && next.bulk() > max(maxBulk, s.bulk()) {
		result.Err = invalid("too much is kept: take away purges, pins or certificates that are of no use")
	}
	if result.Err != nil {
		result.Node, result.Revision = Node{}, 0
		return s, result
	}
	next.Index = index
	if !t.changed {
		return &next, result
	}
	t.forgetMarks()
	if placementDiffers(s, &next) {
		next.Placement = index
	}
	return &next, result
}

// change is a State on its way from one command to the next. Its slices are
// still those of the State before: they are cloned before they are written.
type change struct {
	*State
	now     int64
	index   uint64
	result  *Result
	changed bool
}

func (t *change) apply(c Command) error {
	if init, ok := c.(Init); ok {
		return t.init(init)
	}
	if t.ClusterID == "" {
		return ErrNoCluster
	}
	switch c := c.(type) {
	case CreateToken:
		return t.createToken(c)
	case RevokeToken:
		return t.revokeToken(c)
	case Admit:
		return t.admit(c)
	case Activate:
		return t.activate(c)
	case Certify:
		return t.certify(c)
	case SetNodeState:
		return t.setNodeState(c)
	case SetNode:
		return t.setNode(c)
	case Locate:
		return t.locate(c)
	case PreCreate:
		return t.preCreate(c)
	case RemoveNode:
		return t.removeNode(c)
	case SetConfig:
		return t.setConfig(c)
	case SetVersion:
		return t.setVersion(c)
	case SetTrust:
		return t.setTrust(c)
	case SetKeyring:
		return t.setKeyring(c)
	case Reseal:
		return t.reseal(c)
	case Expel:
		return t.expel(c)
	case SetTLSKey:
		return t.setTLSKey(c)
	case Purge:
		return t.purge(c)
	case AckPurges:
		return t.ackPurges(c)
	case SetPin:
		return t.setPin(c)
	case SetJob:
		return t.setJob(c)
	}
	return fmt.Errorf("%w command: %T", ErrInvalid, c)
}

// init makes a cluster of one, in the first recovery generation.
func (t *change) init(c Init) error {
	if t.ClusterID != "" {
		return ErrInCluster
	}
	if !isHex(c.ClusterID, idDigits) {
		return invalid("cluster id %q: 32 lower-case hexadecimal digits", c.ClusterID)
	}
	if c.WeightUnit < 0 {
		return invalid("weight unit %d", c.WeightUnit)
	}
	if err := checkTrust(c.Trust, c.SealingKeyID); err != nil {
		return err
	}
	if err := checkSealed(c.Gossip.Sealed, c.SealingKeyID); err != nil {
		return err
	}
	if err := checkVersion(c.Version); err != nil {
		return err
	}
	n := c.Node
	if err := checkNode(n); err != nil {
		return err
	}
	if c.Version.Number < n.MinVersion || c.Version.Number > n.MaxVersion {
		return fmt.Errorf("%w: it runs %d to %d, not %d", ErrIncompatible, n.MinVersion, n.MaxVersion, c.Version.Number)
	}
	t.ClusterID, t.Generation, t.RingFormat, t.WeightUnit = c.ClusterID, 1, c.RingFormat, c.WeightUnit
	t.Trust, t.Gossip, t.SealingKeyID, t.Version = c.Trust, c.Gossip, c.SealingKeyID, c.Version
	t.Gossip.ChangedUnix = t.now
	n.State, n.Removed, n.ChangedUnix = Active, false, t.now
	if n.Weight == 0 {
		n.Weight = t.weightOf(n.DriveBytes)
	}
	t.Nodes = []Node{n}
	for _, token := range c.Tokens {
		if err := t.addToken(token); err != nil {
			return err
		}
	}
	t.result.Node, t.changed = n, true
	return nil
}

// placementDiffers reports whether the ring of b is another than that of a.
func placementDiffers(a, b *State) bool {
	if a.RingFormat != b.RingFormat || a.ClusterID != b.ClusterID {
		return true
	}
	return !slices.EqualFunc(a.Members(), b.Members(), func(x, y Node) bool {
		return x.ID == y.ID && x.Weight == y.Weight && x.Zone == y.Zone
	})
}

// weightOf returns the weight of drives of so many bytes: 1 to 4, and 1 where
// the cluster has no unit.
func (s *State) weightOf(bytes int64) int {
	if s.WeightUnit <= 0 {
		return 1
	}
	half := bytes%s.WeightUnit >= (s.WeightUnit+1)/2
	weight := bytes / s.WeightUnit
	if half {
		weight++
	}
	return int(min(max(weight, 1), maxWeight))
}
