package state

// maxBulk bounds, in bytes, what the lists that operators add to take together,
// as the whole State travels in one message of 64 MiB to a node that joins.
const (
	maxBulk     = 48 << 20
	recordBytes = 128          // what a record takes beside its texts
	ackBytes    = idDigits + 2 // a node's id with its tag and length
	tokenBytes  = recordBytes + 2*digestDigits
)

// grows reports whether c adds to a list that operators fill.
func grows(c Command) bool {
	switch c := c.(type) {
	case Purge, SetTLSKey, SetJob, CreateToken:
		return true
	case SetPin:
		return !c.Remove
	default:
		return false
	}
}

// bulk is about what those lists take once every node has acknowledged every
// mark.
func (s *State) bulk() int {
	n := len(s.Tokens) * tokenBytes
	for _, t := range s.Tokens {
		n += len(t.Note)
		for _, key := range t.Joined {
			n += len(key) + 2
		}
	}
	for _, m := range s.Purge.Marks {
		n += recordBytes + len(m.Host) + len(m.Path) + ackBytes*max(len(m.Acked), len(s.Nodes))
	}
	for _, p := range s.Pins {
		n += recordBytes + len(p.Host) + len(p.Path)
	}
	for _, k := range s.TLSKeys {
		n += recordBytes + len(k.CertPEM) + len(k.SealedKey)
	}
	for _, j := range s.Jobs {
		n += recordBytes + len(j.Detail) + len(j.Status)
	}
	return n
}
