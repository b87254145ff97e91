package identity

import (
	"fmt"
	"log/slog"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "[redacted]"

// show answers every verb of fmt with text, %#v and %x too.
func show(f fmt.State, text string) { _, _ = f.Write([]byte(text)) }

// String names the token without its secret.
func (t Token) String() string {
	if t.CADigest == "" {
		return "token of no cluster"
	}
	return tokenPrefix + t.CADigest[:min(8, len(t.CADigest))] + "..." + redacted
}

// Format keeps it out of every verb of fmt.
func (t Token) Format(f fmt.State, _ rune) { show(f, t.String()) }

// GoString implements fmt.GoStringer.
func (t Token) GoString() string { return t.String() }

// LogValue keeps it out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText keeps it out of JSON and YAML.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String names the key without it.
func (k SealingKey) String() string { return "sealing key " + k.ID() }

// Format keeps it out of every verb of fmt.
func (k SealingKey) Format(f fmt.State, _ rune) { show(f, k.String()) }

// GoString implements fmt.GoStringer.
func (k SealingKey) GoString() string { return k.String() }

// LogValue keeps it out of logs.
func (k SealingKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText keeps it out of JSON and YAML.
func (k SealingKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String names the key by its digest.
func (k NodeKey) String() string {
	if k.IsZero() {
		return "no node key"
	}
	return "node key " + k.Digest()[:16]
}

// Format keeps it out of every verb of fmt.
func (k NodeKey) Format(f fmt.State, _ rune) { show(f, k.String()) }

// GoString implements fmt.GoStringer.
func (k NodeKey) GoString() string { return k.String() }

// LogValue keeps it out of logs.
func (k NodeKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText keeps it out of JSON and YAML.
func (k NodeKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String names the authority by its digest.
func (a CA) String() string {
	if a.Cert == nil {
		return "no authority"
	}
	return "authority " + Digest(a.Cert.Raw)[:16]
}

// Format keeps it out of every verb of fmt.
func (a CA) Format(f fmt.State, _ rune) { show(f, a.String()) }

// GoString implements fmt.GoStringer.
func (a CA) GoString() string { return a.String() }

// LogValue keeps it out of logs.
func (a CA) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText keeps it out of JSON and YAML.
func (a CA) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String tells how many keys there are.
func (r Keyring) String() string { return fmt.Sprintf("keyring of %d", len(r.Keys)) }

// Format keeps it out of every verb of fmt.
func (r Keyring) Format(f fmt.State, _ rune) { show(f, r.String()) }

// GoString implements fmt.GoStringer.
func (r Keyring) GoString() string { return r.String() }

// LogValue keeps it out of logs.
func (r Keyring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText keeps it out of JSON and YAML.
func (r Keyring) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String names node and cluster.
func (i Identity) String() string {
	return fmt.Sprintf("node %s of cluster %s", i.NodeID, i.ClusterID)
}

// Format keeps it out of every verb of fmt.
func (i Identity) Format(f fmt.State, _ rune) { show(f, i.String()) }

// GoString implements fmt.GoStringer.
func (i Identity) GoString() string { return i.String() }

// LogValue keeps it out of logs.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

// MarshalText keeps it out of JSON and YAML.
func (i Identity) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
