package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/cluster/identity"
)

// resume goes on with a join that an earlier run began, and joins by the
// configuration where that says so, until it is done or refused.
func (c *Cluster) resume(ctx context.Context) {
	if c.pending != nil {
		c.goOn(ctx, *c.pending)
	} else if i, ok, err := c.configured(); err != nil {
		c.log.Error("join by the configuration", "err", err)
	} else if ok {
		c.goOn(ctx, i)
	}
}

// configured returns the join that the configuration asks for; ok is false
// where there is none, or it is done, or this node was told to leave since.
func (c *Cluster) configured() (_ intent, ok bool, _ error) {
	if c.cfg.Token == "" || len(c.cfg.Join) == 0 {
		return intent{}, false, nil
	}
	token, err := identity.ParseToken(c.cfg.Token)
	if err != nil {
		return intent{}, false, err
	}
	m := c.current.Load()
	if m.in(token) || len(m.others()) > 0 {
		return intent{}, false, nil
	}
	left, err := loadLeft(m.dir)
	if err != nil {
		return intent{}, false, err
	}
	if left.by(c.cfg.Token) {
		c.log.Info("not joined by the configuration: this node was told to leave; mccd join brings it back, or another token", "left", left.ClusterID)
		return intent{}, false, nil
	}
	at, err := located(c.cfg.Join)
	return newIntent(at, c.cfg.Token), err == nil, err
}

// goOn finishes a join, however long it takes.
func (c *Cluster) goOn(ctx context.Context, i intent) {
	for wait := time.Second; ; wait = min(wait*3/2, announceLast) {
		err := c.finishJoin(ctx, i, false)
		if err == nil || ctx.Err() != nil || errors.Is(err, errStopping) {
			return
		}
		if errors.Is(err, errRefused) {
			c.log.Error("not admitted; this node stays as it is", "err", err)
			c.joinState.stop()
			return
		}
		if c.current.Load().complain("join") {
			c.log.Warn("join later", "err", err)
		}
		pause(ctx, wait)
	}
}

// located gives peers their ports.
func located(peers []string) ([]string, error) {
	var at []string
	for _, p := range peers {
		addr, err := withPort(p)
		if err != nil {
			return nil, err
		}
		at = append(at, addr)
	}
	return at, nil
}

// left is the mark of a node that was told to leave: the same command line
// does not bring it back.
type left struct {
	ClusterID string `json:"cluster_id"`
	// TokenHash is that of the token in the configuration then.
	TokenHash string `json:"token_hash"`
}

// by reports whether it left in spite of this token.
func (l left) by(token string) bool {
	parsed, err := identity.ParseToken(token)
	return err == nil && l.TokenHash != "" && l.TokenHash == parsed.Hash()
}

func (c *Cluster) markLeft(folder, clusterID string) error {
	l := left{ClusterID: clusterID}
	if parsed, err := identity.ParseToken(c.cfg.Token); err == nil {
		l.TokenHash = parsed.Hash()
	}
	if err := writeJSON(filepath.Join(c.folders.path(folder), leftFile), l); err != nil {
		return fmt.Errorf("mark that this node left: %w", err)
	}
	return nil
}

// loadLeft returns the mark in dir, the zero one where there is none.
func loadLeft(dir string) (l left, err error) {
	_, err = readJSON(filepath.Join(dir, leftFile), &l)
	return l, err
}
