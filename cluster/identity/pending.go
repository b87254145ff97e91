package identity

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
)

// PendingKey returns the key for which a certificate is being asked, made and
// kept at the first call, so that asking again after a crash is the same
// request. Save with that key ends it.
func (f *Folder) PendingKey() (NodeKey, error) {
	key, err := f.readKey(nextKeyFile)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = NewNodeKey(); err != nil {
		return NodeKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer())
	if err != nil {
		return NodeKey{}, fmt.Errorf("keep the node key: %w", err)
	}
	return key, f.write(nextKeyFile, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}))
}
