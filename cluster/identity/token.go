package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	tokenPrefix     = "MCCD1-"
	tokenSecretSize = 20 // bytes: 160 bits, so that a plain hash hides it
	tokenSecretLen  = 32 // characters of base32
	tokenCheckLen   = 4  // characters: 20 bits tell a mistyped token
	digestLen       = 52 // characters of base32
)

// Token admits nodes to the cluster whose authority has the digest. Written
// out it is MCCD1-<CA digest>-<secret><check>, lower case after the first dash.
// The zero Token is none.
type Token struct {
	CADigest string
	// A pointer, since fmt does not follow it when it prints what holds a
	// Token in an unexported field.
	secret *string
}

// NewToken makes a token for the cluster whose authority has the digest.
func NewToken(caDigest string) (Token, error) {
	secret := make([]byte, tokenSecretSize)
	if _, err := rand.Read(secret); err != nil {
		return Token{}, fmt.Errorf("make a token: %w", err)
	}
	return newToken(caDigest, secret), nil
}

// SecretToken is the token that a join secret stands for (DeriveCA): all who
// know the secret know it without asking.
func SecretToken(caDigest, joinSecret string) Token {
	sum := sha256.Sum256([]byte("mccd join token 1\x00" + joinSecret))
	return newToken(caDigest, sum[:tokenSecretSize])
}

func newToken(caDigest string, secret []byte) Token {
	text := base32Lower().EncodeToString(secret)
	return Token{CADigest: caDigest, secret: &text}
}

// ParseToken reads a token as people give it: in any case, with white space
// around it. Errors: ErrNotToken, ErrTokenTypo; neither repeats s.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	if len(s) < len(tokenPrefix) || !strings.EqualFold(s[:len(tokenPrefix)], tokenPrefix) {
		return Token{}, ErrNotToken
	}
	s = strings.ToLower(s[len(tokenPrefix):])
	digest, rest, ok := strings.Cut(s, "-")
	if !ok || len(digest) != digestLen || len(rest) != tokenSecretLen+tokenCheckLen {
		return Token{}, ErrTokenTypo
	}
	secret, check := rest[:tokenSecretLen], rest[tokenSecretLen:]
	if tokenCheck(digest, secret) != check {
		return Token{}, ErrTokenTypo
	}
	if _, err := base32Lower().DecodeString(digest); err != nil {
		return Token{}, ErrTokenTypo
	}
	if _, err := base32Lower().DecodeString(secret); err != nil {
		return Token{}, ErrTokenTypo
	}
	return Token{CADigest: digest, secret: &secret}, nil
}

// Reveal writes the token out, secret and all; empty of the zero Token.
func (t Token) Reveal() string {
	if t.secret == nil {
		return ""
	}
	return tokenPrefix + t.CADigest + "-" + *t.secret + tokenCheck(t.CADigest, *t.secret)
}

// Hash is what a cluster keeps of the token: the SHA-256 of its secret, in
// hexadecimal; empty of the zero Token.
func (t Token) Hash() string {
	if t.secret == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(*t.secret))
	return hex.EncodeToString(sum[:])
}

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.secret == nil }

func tokenCheck(digest, secret string) string {
	sum := sha256.Sum256([]byte("mccd token check\x00" + digest + "-" + secret))
	return base32Lower().EncodeToString(sum[:5])[:tokenCheckLen]
}
