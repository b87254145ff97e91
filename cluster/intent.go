package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// intent is a join that has begun and is not done. It holds the token, so its
// file is 0600 and goes when the join is done.
type intent struct {
	Version int `json:"version"`
	// Peers are asked for admission, "host:port".
	Peers []string `json:"peers"`
	Token string   `json:"token"`
	// JoinKey makes asking again the same request.
	JoinKey string `json:"join_key"`
}

func newIntent(peers []string, token string) intent {
	var key [16]byte
	_, _ = rand.Read(key[:]) // it never fails
	return intent{Version: 1, Peers: peers, Token: token, JoinKey: hex.EncodeToString(key[:])}
}

func (i intent) save(folder string) error {
	raw, err := json.Marshal(i)
	if err != nil {
		return err
	}
	if err := writeAtomic(filepath.Join(folder, intentFile), raw); err != nil {
		return fmt.Errorf("keep the join's intent: %w", err)
	}
	return nil
}

// loadIntent returns the intent in folder; ok is false where there is none.
func loadIntent(folder string) (i intent, ok bool, err error) {
	raw, err := readBounded(filepath.Join(folder, intentFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return intent{}, false, nil
	}
	if err != nil {
		return intent{}, false, fmt.Errorf("read the join's intent: %w", err)
	}
	if err := json.Unmarshal(raw, &i); err != nil || i.Version != 1 || i.JoinKey == "" {
		return intent{}, false, fmt.Errorf("file %s is damaged: remove it and join again", filepath.Join(folder, intentFile))
	}
	return i, true, nil
}
