package state

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// TrustDigest names the authority that signs: what SetTrust expects. It is
// empty where there is none.
func TrustDigest(t Trust) string {
	if len(t.CAs) == 0 {
		return ""
	}
	digest := sha256.Sum256(t.CAs[0])
	return hex.EncodeToString(digest[:])
}

// SortNodes puts the nodes of a State that is being made in their order.
func (s *State) SortNodes() { slices.SortStableFunc(s.Nodes, byID) }
