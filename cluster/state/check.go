package state

import (
	"fmt"
	"strings"
	"unicode"
)

// What a State holds at most, so that no command can make it too large to
// send. Lengths are in bytes.
const (
	idDigits     = 32
	digestDigits = 64
	maxWeight    = 4
	maxName      = 64
	maxText      = 256
	maxAddr      = 300
	maxHost      = 255
	maxPath      = 8 << 10
	maxNodes     = 2000
	maxTokens    = 1000
	maxJoined    = 1000
	maxCAs       = 8
	maxDER       = 16 << 10
	maxSealed    = 128 << 10
	maxGates     = 256
	maxTLSKeys   = 1000
	maxMarks     = 10_000
	keptMarks    = 256 // over it those that nobody needs go, the oldest first
	maxPins      = 10_000
	maxJobs      = 1000

	markSeconds = 30 * 24 * 3600
	jobSeconds  = 7 * 24 * 3600
	maxSeconds  = 100 * 365 * 24 * 3600
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// isHex reports whether s has n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// isLine reports whether s is at most n bytes that print on one line.
func isLine(s string, n int) bool {
	return len(s) <= n && strings.IndexFunc(s, unicode.IsControl) < 0
}

// checkNamed checks what operators give a node.
func checkNamed(name, zone string, weight int) error {
	switch {
	case name == "" || !isLine(name, maxName):
		return invalid("name %.80q: 1 to %d bytes that print", name, maxName)
	case !isLine(zone, maxName):
		return invalid("zone %.80q: at most %d bytes that print", zone, maxName)
	case weight < 0 || weight > maxWeight:
		return invalid("weight %d: 1 to %d", weight, maxWeight)
	}
	return nil
}

func checkAddrs(addrs ...string) error {
	for _, a := range addrs {
		if !isLine(a, maxAddr) {
			return invalid("address %.80q", a)
		}
	}
	return nil
}

// checkNode checks the record of a node that is to be admitted.
func checkNode(n Node) error {
	if err := checkNamed(n.Name, n.Zone, n.Weight); err != nil {
		return err
	}
	switch {
	case !isHex(n.ID, idDigits):
		return invalid("node id %.80q: %d lower-case hexadecimal digits", n.ID, idDigits)
	case !isHex(n.Key, digestDigits):
		return invalid("key digest %.80q: %d lower-case hexadecimal digits", n.Key, digestDigits)
	case n.DriveBytes < 0:
		return invalid("drives of %d bytes", n.DriveBytes)
	case !isLine(n.JoinKey, maxText) || !isLine(n.Release, maxText) || !isLine(n.CertSerial, maxText):
		return invalid("node %s: a field is too long", n.Name)
	case n.MinVersion > n.MaxVersion:
		return invalid("node %s: versions %d to %d", n.Name, n.MinVersion, n.MaxVersion)
	}
	return checkAddrs(n.PeerAddr, n.GossipAddr)
}

// checkTrust checks authorities whose key has to be sealed under the key of
// this id.
func checkTrust(t Trust, keyID string) error {
	if len(t.CAs) == 0 || len(t.CAs) > maxCAs {
		return invalid("%d certificate authorities: 1 to %d", len(t.CAs), maxCAs)
	}
	for _, der := range t.CAs {
		if len(der) == 0 || len(der) > maxDER {
			return invalid("a certificate of %d bytes", len(der))
		}
	}
	return checkSealed(t.SealedKey, keyID)
}

func checkVersion(v Version) error {
	if len(v.Gates) > maxGates {
		return invalid("%d gates", len(v.Gates))
	}
	for _, g := range v.Gates {
		if g == "" || !isLine(g, maxName) {
			return invalid("gate %.80q", g)
		}
	}
	return nil
}

func checkToken(t Token) error {
	switch {
	case !isHex(t.ID, 8):
		return invalid("token id %.80q: 8 lower-case hexadecimal digits", t.ID)
	case !isHex(t.Hash, digestDigits):
		return invalid("token hash: %d lower-case hexadecimal digits", digestDigits)
	case t.Uses != -1 && t.Uses < 1:
		return invalid("a token for %d nodes", t.Uses)
	case !isLine(t.Note, maxText):
		return invalid("a note of %d bytes: at most %d that print", len(t.Note), maxText)
	case t.ExpiresUnix < 0:
		return invalid("a token that ends before 1970")
	}
	return nil
}

// checkMark checks what a mark names.
func checkMark(m PurgeMark) error {
	switch {
	case !isLine(m.Product, maxText):
		return invalid("product %.80q", m.Product)
	case m.Product != "" && m.Host != "":
		return invalid("a purge of product %.80q and of a host", m.Product)
	}
	return checkScope(m.Host, m.Path, m.Prefix)
}

// checkScope checks what a mark or a pin names.
func checkScope(host, path string, prefix bool) error {
	switch {
	case !isLine(host, maxHost):
		return invalid("host %.80q", host)
	case !isLine(path, maxPath) || path != "" && path[0] != '/' || path == "" && !prefix:
		return invalid("path %.80q: it begins with /, at most %d bytes", path, maxPath)
	}
	return nil
}
