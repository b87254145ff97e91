package config

import "time"

// Config is the node-local configuration. Every key has a default (Default),
// a text in docs.go, an environment variable and, where it is one value or a
// short list, a flag; docs/configuration.md is generated from it.
type Config struct {
	Name              string   `yaml:"name"`
	Zone              string   `yaml:"zone"`
	DataDir           string   `yaml:"data_dir"`
	Listen            string   `yaml:"listen"`
	HTTPSListen       string   `yaml:"https_listen"`
	HTTP2             bool     `yaml:"http2"`
	OpsListen         string   `yaml:"ops_listen"`
	PeerListen        string   `yaml:"peer_listen"`
	PeerAdvertise     string   `yaml:"peer_advertise"`
	GossipListen      string   `yaml:"gossip_listen"`
	GossipAdvertise   string   `yaml:"gossip_advertise"`
	AdminSocket       string   `yaml:"admin_socket"`
	Drives            []Drive  `yaml:"drives"`
	Weight            int      `yaml:"weight"`
	Join              []string `yaml:"join"`
	TokenFile         string   `yaml:"token_file"`
	JoinSecret        string   `yaml:"join_secret"`
	CertLife          Duration `yaml:"cert_life"`
	BuiltinCatalogue  bool     `yaml:"builtin_catalogue"`
	Origins           []Origin `yaml:"origins"`
	IPOrigins         []string `yaml:"ip_origins"`
	ProxyProtocol     []string `yaml:"proxy_protocol"`
	TrustedForwarders []string `yaml:"trusted_forwarders"`
	AllowClients      []string `yaml:"allow_clients"`
	Upstream          string   `yaml:"upstream"`
	UpstreamBypass    []string `yaml:"upstream_bypass"`
	UpstreamFallback  bool     `yaml:"upstream_fallback"`
	// UpstreamCredentials names a file, so that no secret is in a Config.
	UpstreamCredentials string   `yaml:"upstream_credentials"`
	TLS                 TLS      `yaml:"tls"`
	Limits              Limits   `yaml:"limits"`
	Timeouts            Timeouts `yaml:"timeouts"`
	Log                 Log      `yaml:"log"`
	AccessLog           string   `yaml:"access_log"`
}

// TLS names the files of a certificate for https of the node's own.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Drive is one directory that holds content, and its limit.
type Drive struct {
	Path string `yaml:"path"`
	Size Size   `yaml:"size"`
}

// Origin is a rule for one family of origin hosts. Pointers and nil lists mean
// "as the profile says".
type Origin struct {
	Name               string   `yaml:"name"`
	Product            string   `yaml:"product"`
	Hosts              []string `yaml:"hosts"`
	Profile            string   `yaml:"profile"`
	Connect            string   `yaml:"connect"`
	AllowPrivate       bool     `yaml:"allow_private"`
	Ports              []int    `yaml:"ports"`
	KeyHost            string   `yaml:"key_host"`
	QueryInKey         *bool    `yaml:"query_in_key"`
	JoinSchemes        bool     `yaml:"join_schemes"`
	LastModifiedLength *bool    `yaml:"last_modified_length"`
	ImmutablePrefixes  []string `yaml:"immutable_prefixes"`
	AlwaysRevalidate   []string `yaml:"always_revalidate"`
	PassNotFound       []string `yaml:"pass_not_found"`
	FreshFor           Duration `yaml:"fresh_for"`
	MaxRequests        int      `yaml:"max_requests"`
	Upstream           string   `yaml:"upstream"`
	UpstreamFallback   *bool    `yaml:"upstream_fallback"`
}

// Limits bound what the node takes on; 0 leaves the choice to the node.
type Limits struct {
	MaxConnections    int      `yaml:"max_connections"`
	Egress            Size     `yaml:"egress"`
	Memory            Size     `yaml:"memory"`
	RequestsPerOrigin int      `yaml:"requests_per_origin"`
	OriginRequests    int      `yaml:"origin_requests"`
	FillsPerPeer      int      `yaml:"fills_per_peer"`
	Flights           int      `yaml:"flights"`
	FlightsPerOrigin  int      `yaml:"flights_per_origin"`
	ReadAhead         Size     `yaml:"read_ahead"`
	FreeSpace         Size     `yaml:"free_space"`
	BorrowedShare     int      `yaml:"borrowed_share"`
	IdleAfter         Duration `yaml:"idle_after"`
	ScrubRate         Size     `yaml:"scrub_rate"`
	MoveRate          Size     `yaml:"move_rate"`
	Spool             Size     `yaml:"spool"`
}

// Timeouts are the times that the node waits.
type Timeouts struct {
	Connect         Duration `yaml:"connect"`
	FirstByte       Duration `yaml:"first_byte"`
	Stall           Duration `yaml:"stall"`
	ClientFirstByte Duration `yaml:"client_first_byte"`
	PeerSilence     Duration `yaml:"peer_silence"`
	PeerHeartbeat   Duration `yaml:"peer_heartbeat"`
	BreakerOpen     Duration `yaml:"breaker_open"`
	ShutdownGrace   Duration `yaml:"shutdown_grace"`
	GossipProbe     Duration `yaml:"gossip_probe"`
	RaftHeartbeat   Duration `yaml:"raft_heartbeat"`
	RaftElection    Duration `yaml:"raft_election"`
	CatchUp         Duration `yaml:"catch_up"`
	DriveSlow       Duration `yaml:"drive_slow"`
}

// Log says what is logged to standard error, and how.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Default returns the configuration of a node that was told nothing. Paths
// that depend on the machine stay empty; Locate fills them in.
func Default() *Config {
	return &Config{
		Listen:           ":80",
		HTTPSListen:      ":443",
		OpsListen:        "127.0.0.1:7980",
		PeerListen:       ":7947",
		GossipListen:     ":7946",
		CertLife:         Duration(90 * 24 * time.Hour),
		BuiltinCatalogue: true,
		UpstreamFallback: true,
		Limits: Limits{
			Memory:            512 << 20,
			RequestsPerOrigin: 64,
			OriginRequests:    512,
			FillsPerPeer:      1024,
			Flights:           4096,
			FlightsPerOrigin:  2048,
			ReadAhead:         32 << 20,
			BorrowedShare:     20,
			IdleAfter:         Duration(30 * 24 * time.Hour),
			ScrubRate:         4 << 20,
			MoveRate:          64 << 20,
			Spool:             256 << 20,
		},
		Timeouts: Timeouts{
			Connect:         Duration(3 * time.Second),
			FirstByte:       Duration(8 * time.Second),
			Stall:           Duration(8 * time.Second),
			ClientFirstByte: Duration(10 * time.Second),
			PeerSilence:     Duration(300 * time.Millisecond),
			PeerHeartbeat:   Duration(100 * time.Millisecond),
			BreakerOpen:     Duration(2 * time.Second),
			ShutdownGrace:   Duration(30 * time.Second),
			GossipProbe:     Duration(500 * time.Millisecond),
			RaftHeartbeat:   Duration(time.Second),
			RaftElection:    Duration(time.Second),
			CatchUp:         Duration(time.Second),
			DriveSlow:       Duration(5 * time.Second),
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

// defaultOrigin is an entry of origins before its keys are read.
func defaultOrigin() Origin { return Origin{Profile: "http"} }
