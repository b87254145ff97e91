package state

import (
	"fmt"
	"slices"
)

func (t *change) createToken(c CreateToken) error {
	if c.TTLSeconds < 0 || c.TTLSeconds > maxSeconds {
		return invalid("a token that lives %d seconds", c.TTLSeconds)
	}
	token := c.Token
	token.CreatedUnix, token.ExpiresUnix, token.Revoked, token.Joined = t.now, 0, false, nil
	if c.TTLSeconds > 0 {
		token.ExpiresUnix = t.now + c.TTLSeconds
	}
	for _, old := range t.Tokens {
		if old.ID == token.ID && old.Hash == token.Hash {
			return nil
		}
	}
	return t.addToken(token)
}

// addToken adds a token, in the place of the oldest useless one where there
// are too many.
func (t *change) addToken(token Token) error {
	if err := checkToken(token); err != nil {
		return err
	}
	for _, old := range t.Tokens {
		if old.ID == token.ID || old.Hash == token.Hash {
			return invalid("token %s exists", token.ID)
		}
	}
	tokens := slices.Clone(t.Tokens)
	if len(tokens) >= maxTokens {
		i := slices.IndexFunc(tokens, func(old Token) bool { return usable(old, t.now) != nil })
		if i < 0 {
			return invalid("%d tokens: revoke some", len(tokens))
		}
		tokens = slices.Delete(tokens, i, i+1)
	}
	t.Tokens, t.changed = append(tokens, token), true
	return nil
}

func (t *change) revokeToken(c RevokeToken) error {
	i := slices.IndexFunc(t.Tokens, func(old Token) bool { return old.ID == c.ID })
	if i < 0 {
		return fmt.Errorf("token %.80q: %w", c.ID, ErrNotFound)
	}
	if !t.Tokens[i].Revoked {
		t.Tokens, t.changed = slices.Clone(t.Tokens), true
		t.Tokens[i].Revoked = true
	}
	return nil
}

// revokeAll makes every token useless.
func (t *change) revokeAll() {
	t.Tokens, t.changed = slices.Clone(t.Tokens), true
	for i := range t.Tokens {
		t.Tokens[i].Revoked = true
	}
}

// usable says why a token admits nobody, nil = it does.
func usable(token Token, now int64) error {
	switch {
	case token.Revoked:
		return ErrTokenRevoked
	case token.ExpiresUnix != 0 && now >= token.ExpiresUnix:
		return ErrTokenExpired
	case token.Uses == 0:
		return ErrTokenUsedUp
	}
	return nil
}

// use takes one use of the token at i for a joining key. A key that it has
// admitted before costs nothing.
func (t *change) use(i int, joinKey string) {
	t.Tokens = slices.Clone(t.Tokens)
	token := &t.Tokens[i]
	if token.Uses > 0 {
		token.Uses--
	}
	joined := token.Joined
	if len(joined) >= maxJoined {
		joined = joined[len(joined)-maxJoined+1:]
	}
	token.Joined = append(slices.Clone(joined), joinKey)
}
