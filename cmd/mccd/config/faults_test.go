package config

import (
	"errors"
	"strings"
	"testing"
)

// faulty has one fault in each line that ends in a comment; the comment is a
// part of what is said about it.
const faulty = `listne: ":80"                       # did you mean "listen"
listen: "80"                        # write host:port
peer_listen: 192.0.2.1:79470        # no port between 0 and 65535
ops_listen: 127.0.0.1:7946
gossip_listen: 127.0.0.1:7946       # is that of ops_listen already
zone: "rack 7"                      # is not a name
join: 127.0.0.1:7947                # is a list
weight: 5                           # use 1 to 4
token_file: MCCD1-secret            # is a token itself
cert_life: 1m                       # use 1h to 8760h
drives:
  - path: /srv/a
    size: 100                       # has no unit
  - path: /srv/a/b                  # one inside the other
    size: 1MiB                      # at least 32MiB
  - size: 64parsecs                 # unknown unit
builtin_catalogue: perhaps          # not true or false
origins:
  - name: m
    hosts: [mirror.example]
    profil: do                      # did you mean "profile"
    connect: mirror                 # an address or a name and a port
  - hosts: ["*"]                    # open proxy
    ports: [70000]                  # use 1 to 65535
limits:
  flights: many                     # not a whole number
  flights: 7                        # given twice; the first is in line 26
  max_connections: -1               # cannot be negative
timeouts:
  stall: 8                          # has no unit
  peer_silence: 100ms
  peer_heartbeat: 90ms              # at most half of peer_silence
  client_first_byte: 1m             # at most 15s
  raft_election: 500ms              # at least raft_heartbeat
log: verbose                        # holds keys (level, format)
`

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	_, err := load(t, faulty, []string{"MCCD_ACCESS_LOG=-", "MCCD_TIMEOUTS_CONNECT=soon"},
		Setting{"--set", "limits.memry", []string{"1GiB"}}, Setting{"--drive", "drives", []string{"/srv/c"}})
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v", err)
	}
	byLine := make(map[int]string)
	for _, f := range faults {
		byLine[f.Where.Line] += f.String() + "\n"
		t.Log(f)
	}
	for i, line := range strings.Split(faulty, "\n") {
		_, want, bad := strings.Cut(line, "# ")
		got := byLine[i+1]
		if bad != (got != "") || !strings.Contains(got, want) {
			t.Errorf("line %d: got %q, want %q", i+1, got, want)
		}
	}
	for _, want := range []string{"MCCD_TIMEOUTS_CONNECT: timeouts.connect: \"soon\" is not a time",
		"--set: limits.memry: is not a key; did you mean \"limits.memory\"?", "--drive: drives: \"/srv/c\" has no size"} {
		if !strings.Contains(byLine[0], want) {
			t.Errorf("no fault says %q; got %q", want, byLine[0])
		}
	}
}

func TestFaultsOfOneValue(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"listen: [a\n", "is not YAML"},
		{"- a\n- b\n", "holds keys"},
		{"a: b\n---\nc: d\n", "second document"},
		{"listen: {}\n", "is one value, not a set of keys"},
		{"origins: {}\n", "is a list, not a set of keys"},
		{"origins: [x]\n", "holds keys"},
		{"origins: [{profile: ftp, hosts: [a.example]}]\n", "use do, http"},
		{"origins: [{name: a}]\n", "origins[0].hosts: is missing"},
		{"origins: [{name: a, hosts: [a.example]}, {name: a, hosts: [b.example]}]\n", "name is that of origin 1"},
		{"origins: [{hosts: [a.example], connect: '127.0.0.1:80'}]\n", "allow_private"},
		{"origins: [{hosts: [a.example], pass_not_found: ['a/b']}]\n", "pass_not_found[0]"},
		{"origins: [{hosts: [a.example], fresh_for: -1s}]\n", "cannot be negative"},
		{"upstream: 'http://u:MCCD1-secret@proxy:3128'\n", "upstream_credentials"},
		{"upstream: proxy:3128\n", "upstream: "},
		{"upstream_bypass: [a.example]\n", "names nothing"},
		{"upstream: 'cache://p'\nupstream_bypass: ['*']\n", "upstream_bypass[0]"},
		{"ip_origins: [10.0.0.0/8, x]\n", "ip_origins[1]"},
		{"ip_origins: [0.0.0.0/0]\n", "open proxy"},
		{"proxy_protocol: [10.0.0.0/8, lb.example]\n", "proxy_protocol[1]"},
		{"proxy_protocol: [0.0.0.0/0]\n", "choose its address"},
		{"trusted_forwarders: [\"::/0\"]\n", "choose its address"},
		{"allow_clients: [10.0.0.0/33]\n", "allow_clients[0]"},
		{"limits: {egress: 100KiB}\n", "limits.egress"},
		{"origins: [{hosts: [a.example], upstream: 'cache://p/x'}]\n", "origins[0].upstream"},
		{"builtin_catalogue: false\n", "nothing would be served"},
		{"admin_socket: mccd.sock\n", "not an absolute path"},
		{"admin_socket: /" + strings.Repeat("x", 120) + "\n", "has 121 bytes"},
		{"gossip_advertise: ':7946'\n", "cannot be dialled"},
		{"peer_listen: ':7946'\n", "port 7946 is that of gossip_listen"},
		{"listen: '127.0.0.1:7947'\n", "port 7947 is that of peer_listen"},
		{"join_secret: /run/secret\n", "needs join"},
		{"join: [a]\njoin_secret: /run/secret\ntoken_file: /run/token\n", "use one of them"},
		{"join: [a, MCCD1-secret]\n", "a token stands in place of a peer"},
		{"token: MCCD1-secret\n", "is not a key"},
		{"listen: 127.0.0.1:99999\n", "no port between 0 and 65535"},
		{"join: ['a b']\n", "join[0]"},
		{"timeouts: {connect: 0}\n", "must be more than 0"},
		{"limits: {memory: 9999999PiB}\n", "too large"},
		{"limits: {memory: -1GiB}\n", "not a size"},
		{"log: {format: xml}\n", "use text, json"},
		{"wholly_unlike_anything: 1\n", "the keys here are name, zone"},
		{"<<: {listen: x}\n", "is not a key"},
	} {
		_, err := load(t, c.text, nil)
		if err != nil && strings.Contains(err.Error(), "MCCD1-secret") {
			t.Errorf("%q: a fault repeats a token: %v", c.text, err)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "mccd.yaml:") {
			t.Errorf("%q: got %v, want %q with its file and line", c.text, err, c.want)
		}
	}
}

func TestTooLargeFile(t *testing.T) {
	if _, err := load(t, strings.Repeat("#", maxFile+1), nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(faulty)
	f.Add("a: &x [*x]\n")
	f.Add("drives: &d [{path: /a, size: 1GiB}]\norigins: *d\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parse([]byte(text), Sources{File: "mccd.yaml"})
		if (l == nil) == (err == nil) {
			t.Fatalf("got %v and %v", l, err)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Fatal("a fault says nothing")
		}
	})
}
