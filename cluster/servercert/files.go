package servercert

import (
	"crypto/tls"
	"fmt"
	"os"
)

// Load reads a chain and its key from files and checks them, but for the time.
func Load(certFile, keyFile string) (tls.Certificate, Chain, error) {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("read certificate: %w", err)
	}
	chain, err := ParseChain(text)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	text, err = os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("read private key: %w", err)
	}
	key, err := ParseKey(text)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	if err := chain.Check(key.Public()); err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	return chain.Certificate(key), chain, nil
}
