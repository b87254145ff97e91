package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mccd/mccd/cluster/gossip"
)

const nodeIDFile = "node-id"

// LoadNodeID returns the id of the node whose data directory is dir: 128
// random bits as 32 hexadecimal digits, kept in the file node-id (0600), which
// is made when missing. A file with anything else in it is an error: a new id
// would leave the old one's place in the ring to nobody.
func LoadNodeID(dir string) (string, error) {
	path := filepath.Join(dir, nodeIDFile)
	b, err := readBounded(path, 256)
	if errors.Is(err, fs.ErrNotExist) {
		var random [16]byte
		_, _ = rand.Read(random[:]) // it never fails
		id := hex.EncodeToString(random[:])
		if err := writeAtomic(path, []byte(id+"\n")); err != nil {
			return "", fmt.Errorf("keep node id: %w", err)
		}
		return id, nil
	}
	if err != nil {
		return "", fmt.Errorf("read node id: %w", err)
	}
	id := strings.TrimSpace(string(b))
	if err := gossip.CheckID(id); err != nil {
		return "", fmt.Errorf("file %s is damaged (%w): restore it from the name the cluster knows (mccd status on another node), or remove it to join as a new node", path, err)
	}
	return id, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("file %s has %d bytes, the most is %d", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}

// writeAtomic replaces path (0600) so that a crash leaves the old content or
// the new.
func writeAtomic(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// writeJSON replaces path by v.
func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeAtomic(path, raw)
}

// readJSON reads what writeJSON wrote; ok is false where there is no file.
func readJSON(path string, v any) (ok bool, _ error) {
	raw, err := readBounded(path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("file %s is damaged: %w", path, err)
	}
	return true, nil
}

// syncDir makes a rename last. Where directories cannot be synced, the rename
// lasts once the system writes it.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
