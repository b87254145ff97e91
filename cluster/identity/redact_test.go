package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Whatever prints, logs or encodes what holds a secret, does not show it.
func TestNothingPrintsASecret(t *testing.T) {
	ca, key, sealing, token := testCA(t), testKey(t), testSealing(t), testToken(t)
	ring, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	identity := Identity{ClusterID: testCluster, NodeID: testNode, Key: key, CAs: [][]byte{ca.Cert.Raw}, Sealing: sealing}
	type holder struct {
		CA       CA
		Key      NodeKey
		Sealing  SealingKey
		Token    Token
		Ring     Keyring
		Identity Identity
	}
	all := holder{ca, key, sealing, token, ring, identity}
	// These are pointers inside, and so safe in others' unexported fields too.
	type hidden struct {
		key   NodeKey
		token Token
	}
	values := map[string]any{
		"CA": ca, "*CA": &ca, "NodeKey": key, "*NodeKey": &key, "SealingKey": sealing, "*SealingKey": &sealing,
		"Token": token, "*Token": &token, "Keyring": ring, "*Keyring": &ring, "Identity": identity, "*Identity": &identity,
		"holder": all, "*holder": &all, "slice": []any{ca, key, sealing, token, ring},
		"map": map[string]any{"a": ca, "k": key, "s": sealing, "t": token, "r": ring}, "hidden": hidden{key, token},
		"as keys": map[any]bool{key: true, sealing: true, token: true},
	}
	seed := key.key.key.Seed()
	var secrets []string
	for _, secret := range [][]byte{ca.Key, ca.Key.Seed(), seed, *key.key.key, sealing[:], ring.Keys[0], []byte(*token.secret)} {
		secrets = append(secrets, forms(secret)...)
	}
	var logged bytes.Buffer
	loggers := []*slog.Logger{slog.New(slog.NewTextHandler(&logged, nil)), slog.New(slog.NewJSONHandler(&logged, nil))}
	for name, v := range values {
		var printed []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "% x", "%#x", "%#q", "%08b"} {
			printed = append(printed, fmt.Sprintf(verb, v))
		}
		printed = append(printed, fmt.Sprint(v), fmt.Errorf("wrap: %v", v).Error())
		logged.Reset()
		for _, l := range loggers {
			l.Info("with", "v", v)
			l.With("v", v).Info("bound")
		}
		printed = append(printed, logged.String())
		if b, err := json.Marshal(v); err == nil {
			printed = append(printed, string(b))
		}
		if !strings.Contains(name, "hidden") && name != "as keys" {
			b, err := yaml.Marshal(v)
			if err != nil {
				t.Errorf("%s: yaml: %v", name, err)
			}
			printed = append(printed, string(b))
		}
		for _, p := range printed {
			for _, s := range secrets {
				if strings.Contains(p, s) {
					t.Errorf("%s shows a secret: %.200s", name, p)
				}
			}
		}
	}
}

// forms are the ways in which fmt and the encoders write bytes, as much of
// them as proves it.
func forms(secret []byte) []string {
	part := secret[:12]
	trim := func(s string) string { return strings.Trim(s, "[]") }
	list := []string{
		string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)),
		base64.StdEncoding.EncodeToString(part), base64.URLEncoding.EncodeToString(part),
	}
	for _, verb := range []string{"%v", "%o", "%b", "%U", "% x", "%#x", "%08b", "%c"} {
		list = append(list, trim(fmt.Sprintf(verb, part)))
	}
	goSyntax := fmt.Sprintf("%#v", part)
	list = append(list, strings.TrimSuffix(strings.TrimPrefix(goSyntax, "[]byte{"), "}"))
	quoted := fmt.Sprintf("%q", part)
	return append(list, quoted[1:len(quoted)-1], strings.ReplaceAll(trim(fmt.Sprintf("%v", part)), " ", ","))
}

func TestNamesTellSomething(t *testing.T) {
	ca, key, sealing, token := testCA(t), testKey(t), testSealing(t), testToken(t)
	for _, c := range []struct{ got, want string }{
		{fmt.Sprint(ca), Digest(ca.Cert.Raw)[:16]},
		{fmt.Sprint(key), key.Digest()[:16]},
		{fmt.Sprint(sealing), sealing.ID()},
		{fmt.Sprint(token), token.CADigest[:8]},
		{fmt.Sprint(CA{}, NodeKey{}, Token{}, Keyring{}), "no authority"},
		{fmt.Sprintf("%#v", Identity{ClusterID: "c", NodeID: "n"}), "node n of cluster c"},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%q does not name %q", c.got, c.want)
		}
	}
}
