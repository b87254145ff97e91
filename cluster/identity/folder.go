package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a Folder, PEM each.
const (
	keyFile     = "node.key"
	nextKeyFile = "node.key.next"
	certFile    = "node.crt"
	trustFile   = "trust.pem"
	sealingFile = "sealing.key"
	stagedFile  = "staged.key"

	keyBlock     = "PRIVATE KEY"
	certBlock    = "CERTIFICATE"
	sealingBlock = "MCCD SEALING KEY"
)

// Folder keeps a node's Identity in files, 0600 and replaced at once. One
// process uses it; its methods are not for concurrent use.
type Folder struct{ dir string }

// OpenFolder returns the folder, made 0700 if it is missing. A folder in which
// other users may write is refused.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the identity folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open the identity folder: %w", err)
	}
	if writableByOthers(info.Mode()) {
		return nil, fmt.Errorf("open the identity folder %s: %w: run chmod 700 %s", dir, ErrOpenToOthers, dir)
	}
	return &Folder{dir: dir}, nil
}

// Dir is the folder's path.
func (f *Folder) Dir() string { return f.dir }

// Save writes everything. A crash on the way leaves the former identity or the
// new one, never a key without its certificate.
func (f *Folder) Save(i Identity) error {
	if err := i.Validate(); err != nil {
		return fmt.Errorf("save the identity: %w", err)
	}
	if err := f.SaveSealing(i.Sealing); err != nil {
		return err
	}
	if err := f.SaveTrust(i.CAs); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(i.Key.Signer())
	if err != nil {
		return fmt.Errorf("save the identity: %w", err)
	}
	// The key waits under another name until its certificate is there; Load
	// finishes what a crash left.
	if err := f.write(nextKeyFile, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})); err != nil {
		return err
	}
	if err := f.SaveCert(i.Cert); err != nil {
		return err
	}
	return f.rename(nextKeyFile, keyFile)
}

// SaveCert replaces the node's certificate (DER).
func (f *Folder) SaveCert(der []byte) error {
	return f.write(certFile, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}))
}

// SaveTrust replaces the trusted authorities (DER).
func (f *Folder) SaveTrust(cas [][]byte) error {
	var b []byte
	for _, der := range cas {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})...)
	}
	return f.write(trustFile, b)
}

// SaveSealing replaces the sealing key.
func (f *Folder) SaveSealing(k SealingKey) error { return f.write(sealingFile, encodeSealing(k)) }

// Stage keeps the next sealing key beside the present one.
func (f *Folder) Stage(k SealingKey) error { return f.write(stagedFile, encodeSealing(k)) }

// Staged returns the staged sealing key; ok is false where there is none.
func (f *Folder) Staged() (k SealingKey, ok bool, err error) {
	k, err = f.readSealing(stagedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return SealingKey{}, false, nil
	}
	return k, err == nil, err
}

// Promote makes the staged sealing key the present one.
func (f *Folder) Promote() (SealingKey, error) {
	k, err := f.readSealing(stagedFile)
	if err != nil {
		return SealingKey{}, err
	}
	return k, f.rename(stagedFile, sealingFile)
}

// Load returns the identity. Errors: ErrNoIdentity where no file of it is
// there; ErrOpenToOthers; else what is wrong with which file.
func (f *Folder) Load() (Identity, error) {
	if f.empty() {
		return Identity{}, fmt.Errorf("%s: %w", f.dir, ErrNoIdentity)
	}
	var i Identity
	certs, err := f.readCerts(certFile)
	if err != nil {
		return Identity{}, err
	}
	leaf, err := x509.ParseCertificate(certs[0])
	if err != nil {
		return Identity{}, f.broken(certFile, err)
	}
	if i.Cert = certs[0]; len(certs) > 1 {
		return Identity{}, f.broken(certFile, errors.New("more than one certificate"))
	}
	if i.ClusterID, i.NodeID, err = NodeOf(leaf); err != nil {
		return Identity{}, f.broken(certFile, err)
	}
	if i.Key, err = f.loadKey(KeyDigest(leaf)); err != nil {
		return Identity{}, err
	}
	if i.CAs, err = f.readCerts(trustFile); err != nil {
		return Identity{}, err
	}
	if i.Sealing, err = f.readSealing(sealingFile); err != nil {
		return Identity{}, err
	}
	if err := i.Validate(); err != nil {
		return Identity{}, fmt.Errorf("load the identity of %s: %w", f.dir, err)
	}
	return i, nil
}

// loadKey reads the key that the certificate is of, and puts it in its place
// where a crash came between the two. A key without its certificate stays for
// PendingKey.
func (f *Folder) loadKey(digest string) (NodeKey, error) {
	next, err := f.readKey(nextKeyFile)
	if err == nil && next.Digest() == digest {
		return next, f.rename(nextKeyFile, keyFile)
	}
	key, err := f.readKey(keyFile)
	if err != nil {
		return NodeKey{}, err
	}
	if key.Digest() != digest {
		return NodeKey{}, f.broken(keyFile, errors.New("it is not the key of "+certFile))
	}
	return key, nil
}

func (f *Folder) readKey(name string) (NodeKey, error) {
	blocks, err := f.read(name, keyBlock)
	if err != nil {
		return NodeKey{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(blocks[0])
	if err != nil {
		return NodeKey{}, f.broken(name, errors.New("not a private key"))
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return NodeKey{}, f.broken(name, errors.New("not an Ed25519 key"))
	}
	return newNodeKey(key), nil
}

func (f *Folder) readCerts(name string) ([][]byte, error) { return f.read(name, certBlock) }

func (f *Folder) readSealing(name string) (SealingKey, error) {
	blocks, err := f.read(name, sealingBlock)
	if err != nil {
		return SealingKey{}, err
	}
	if len(blocks[0]) != len(SealingKey{}) {
		return SealingKey{}, f.broken(name, errors.New("a sealing key has 32 bytes"))
	}
	return SealingKey(blocks[0]), nil
}

func encodeSealing(k SealingKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: sealingBlock, Bytes: k[:]})
}

// empty reports whether no identity was ever saved as a whole.
func (f *Folder) empty() bool {
	for _, name := range []string{keyFile, certFile} {
		if _, err := os.Lstat(filepath.Join(f.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}
