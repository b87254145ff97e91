package process

import (
	"context"
	"encoding/json"
	"fmt"
)

// Status is the part of `mccd status -o json` that tests read.
type Status struct {
	NodeID     string         `json:"node_id"`
	Name       string         `json:"name"`
	ViewDigest string         `json:"view_digest"`
	Nodes      []StatusMember `json:"nodes"`
	Drives     []StatusDrive  `json:"drives"`
	Cache      StatusCache    `json:"cache"`
	Warnings   []string       `json:"warnings"`
}

// StatusMember is one member as the node sees it.
type StatusMember struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
	Self  bool   `json:"self"`
}

// StatusDrive is one of the node's drives.
type StatusDrive struct {
	Path      string `json:"path"`
	UsedBytes int64  `json:"used_bytes"`
	Chunks    int64  `json:"chunks"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
}

// StatusCache is what the node served, by where it came from.
type StatusCache struct {
	HitBytes    int64 `json:"hit_bytes"`
	PeerBytes   int64 `json:"peer_bytes"`
	MissBytes   int64 `json:"miss_bytes"`
	OriginBytes int64 `json:"origin_bytes"`
}

// Status asks the node by `mccd status -o json`.
func (n *Node) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, code, err := n.Command(ctx, "status", "-o", "json", "--admin-socket", n.Socket)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("status of %s: exit code %d: %s", n.Name, code, out)
	}
	s := new(Status)
	if err := json.Unmarshal([]byte(out), s); err != nil {
		return nil, fmt.Errorf("status of %s: %w", n.Name, err)
	}
	return s, nil
}

// Alive returns how many members the node counts alive, itself included.
func (s *Status) Alive() int {
	alive := 0
	for _, m := range s.Nodes {
		if m.State == "alive" {
			alive++
		}
	}
	return alive
}

// Members waits until the node counts exactly want members alive.
func (n *Node) Members(ctx context.Context, want int) error {
	err := Poll(ctx, func(ctx context.Context) error {
		s, err := n.Status(ctx)
		if err != nil {
			return err
		}
		if alive := s.Alive(); alive != want {
			return fmt.Errorf("%d members alive of %d known", alive, len(s.Nodes))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s counts %d members: %w", n.Name, want, err)
	}
	return nil
}
