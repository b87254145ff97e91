package state

import (
	"errors"
	"fmt"
	"slices"
)

// code is what a sentinel is called between nodes. A code is never given to
// another meaning.
type code struct {
	name string
	err  error
}

func codes() []code {
	return []code{
		// An unknown outcome outranks what it was caused by.
		{"unknown_outcome", ErrUnknownOutcome}, {"no_cluster", ErrNoCluster}, {"in_cluster", ErrInCluster}, {"token_unknown", ErrTokenUnknown}, {"token_expired", ErrTokenExpired},
		{"token_used_up", ErrTokenUsedUp}, {"token_revoked", ErrTokenRevoked}, {"node_unknown", ErrNodeUnknown}, {"node_removed", ErrNodeRemoved},
		{"name_taken", ErrNameTaken}, {"conflict", ErrConflict}, {"version", ErrVersion}, {"incompatible", ErrIncompatible},
		{"no_quorum", ErrNoQuorum}, {"recover_refused", ErrRecoverRefused}, {"passphrase", ErrPassphrase},
		{"not_found", ErrNotFound}, {"invalid", ErrInvalid},
	}
}

// CodeOther is the code of an error that is none of this package's.
const CodeOther = "other"

// Code returns what err is called between nodes: a sentinel's code, CodeOther,
// or "" for nil.
func Code(err error) string {
	if err == nil {
		return ""
	}
	for _, c := range codes() {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return CodeOther
}

// FromCode returns the error that Code and its text were made from: errors.Is
// finds the sentinel, Error gives text. "" gives nil; a code of a newer release
// an error with the text alone.
func FromCode(name, text string) error {
	if name == "" {
		return nil
	}
	all := codes()
	i := slices.IndexFunc(all, func(c code) bool { return c.name == name })
	if i < 0 {
		if text == "" {
			text = fmt.Sprintf("refused for a reason that this release does not know (%q)", name)
		}
		return errors.New(text)
	}
	if text == "" || text == all[i].err.Error() {
		return all[i].err
	}
	return &remoteError{text: text, sentinel: all[i].err}
}

// remoteError is an error that travelled.
type remoteError struct {
	text     string
	sentinel error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }
