package identity

import (
	"fmt"
	"log/slog"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "[redacted]"

// print answers every verb of fmt with text, %#v and %x too.
func print(f fmt.State, text string) { _, _ = f.Write([]byte(text)) }

// String names the token without its secret.
func (t Token) String() string {
	if t.CADigest == "" {
		return "token of no cluster"
	}
	return tokenPrefix + t.CADigest[:min(8, len(t.CADigest))] + "..." + redacted
}

// Format, GoString, LogValue and MarshalText keep the secret out of every
// print, log and document.
func (t Token) Format(f fmt.State, _ rune)   { print(f, t.String()) }
func (t Token) GoString() string             { return t.String() }
func (t Token) LogValue() slog.Value         { return slog.StringValue(t.String()) }
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String names the key without it.
func (k SealingKey) String() string { return "sealing key " + k.ID() }

// Format, GoString, LogValue and MarshalText keep the key out of every print,
// log and document.
func (k SealingKey) Format(f fmt.State, _ rune)   { print(f, k.String()) }
func (k SealingKey) GoString() string             { return k.String() }
func (k SealingKey) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k SealingKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String names the key by its digest.
func (k NodeKey) String() string {
	if k.IsZero() {
		return "no node key"
	}
	return "node key " + k.Digest()[:16]
}

// Format, GoString, LogValue and MarshalText keep the key out of every print,
// log and document.
func (k NodeKey) Format(f fmt.State, _ rune)   { print(f, k.String()) }
func (k NodeKey) GoString() string             { return k.String() }
func (k NodeKey) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k NodeKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String names the authority by its digest.
func (a CA) String() string {
	if a.Cert == nil {
		return "no authority"
	}
	return "authority " + Digest(a.Cert.Raw)[:16]
}

// Format, GoString, LogValue and MarshalText keep the key out of every print,
// log and document.
func (a CA) Format(f fmt.State, _ rune)   { print(f, a.String()) }
func (a CA) GoString() string             { return a.String() }
func (a CA) LogValue() slog.Value         { return slog.StringValue(a.String()) }
func (a CA) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String tells how many keys there are.
func (r Keyring) String() string { return fmt.Sprintf("keyring of %d", len(r.Keys)) }

// Format, GoString, LogValue and MarshalText keep the keys out of every print,
// log and document.
func (r Keyring) Format(f fmt.State, _ rune)   { print(f, r.String()) }
func (r Keyring) GoString() string             { return r.String() }
func (r Keyring) LogValue() slog.Value         { return slog.StringValue(r.String()) }
func (r Keyring) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String names node and cluster.
func (i Identity) String() string {
	return fmt.Sprintf("node %s of cluster %s", i.NodeID, i.ClusterID)
}

// Format, GoString, LogValue and MarshalText keep the keys out of every print,
// log and document.
func (i Identity) Format(f fmt.State, _ rune)   { print(f, i.String()) }
func (i Identity) GoString() string             { return i.String() }
func (i Identity) LogValue() slog.Value         { return slog.StringValue(i.String()) }
func (i Identity) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
