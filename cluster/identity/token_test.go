package identity

import (
	"errors"
	"strings"
	"testing"
)

func testToken(t testing.TB) Token {
	t.Helper()
	token, err := NewToken(Digest([]byte("an authority")))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenRoundTrip(t *testing.T) {
	token := testToken(t)
	text := token.Reveal()
	for _, s := range []string{text, " " + text + "\n", strings.ToUpper(text), strings.ToLower(text)} {
		got, err := ParseToken(s)
		if err != nil || got.CADigest != token.CADigest || got.Hash() != token.Hash() || got.Reveal() != text {
			t.Errorf("%q: %v", s, err)
		}
	}
	if !strings.HasPrefix(text, "MCCD1-"+token.CADigest+"-") {
		t.Errorf("%q does not begin with the authority's digest", text)
	}
	if testToken(t).Hash() == token.Hash() {
		t.Error("two tokens are alike")
	}
	if len(token.Hash()) != 64 || strings.Contains(text, token.Hash()) {
		t.Errorf("hash %q", token.Hash())
	}
}

func TestParseTokenSaysWhatIsWrong(t *testing.T) {
	text := testToken(t).Reveal()
	dash := strings.LastIndexByte(text, '-')
	swapped := []byte(text)
	for i := dash + 1; ; i++ {
		if swapped[i] != swapped[i+1] {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			break
		}
	}
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrNotToken},
		{"something else", "hunter2hunter2", ErrNotToken},
		{"another version", strings.Replace(text, "MCCD1", "MCCD2", 1), ErrNotToken},
		{"only the prefix", "MCCD1-", ErrTokenTypo},
		{"cut off", text[:len(text)-1], ErrTokenTypo},
		{"longer", text + "a", ErrTokenTypo},
		{"a digit that base32 has not", text[:dash+1] + "0" + text[dash+2:], ErrTokenTypo},
		{"two characters swapped", string(swapped), ErrTokenTypo},
		{"no second dash", strings.Replace(text, "-", "", 2), ErrNotToken},
		{"a space inside", text[:20] + " " + text[21:], ErrTokenTypo},
		{"huge", "MCCD1-" + strings.Repeat("a", 1<<20), ErrTokenTypo},
	} {
		_, err := ParseToken(c.text)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && c.text != "" && strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: the error repeats the token", c.name)
		}
	}
}

// Every single mistyped character is told.
func TestParseTokenNoticesEachTypo(t *testing.T) {
	text := []byte(testToken(t).Reveal())
	for i := len(tokenPrefix); i < len(text); i++ {
		typo := append([]byte(nil), text...)
		if typo[i]++; typo[i] == '-'+1 {
			typo[i] = 'x'
		}
		if _, err := ParseToken(string(typo)); !errors.Is(err, ErrTokenTypo) {
			t.Errorf("character %d: %v", i, err)
		}
	}
}

func TestSecretTokenIsAToken(t *testing.T) {
	ca, _, join, err := DeriveCA([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	digest := Digest(ca.Cert.Raw)
	token := SecretToken(digest, join)
	again, err := ParseToken(token.Reveal())
	if err != nil || again.Hash() != token.Hash() || again.CADigest != digest {
		t.Errorf("%v, %v", again, err)
	}
	if SecretToken(digest, join+"x").Hash() == token.Hash() {
		t.Error("another secret gives the same token")
	}
	if strings.Contains(token.Reveal(), join) {
		t.Error("the token shows the join secret")
	}
}

func TestZeroToken(t *testing.T) {
	if (Token{}).Reveal() != "" || (Token{}).Hash() != "" || !(Token{}).IsZero() {
		t.Error("the zero token is something")
	}
}
