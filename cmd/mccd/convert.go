package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/mccd/mccd/cmd/mccd/config"
	"github.com/mccd/mccd/cmd/mccd/node"
)

// orNone turns 0, which is a person's "none", into the node's, which is negative.
func orNone[T int | int64 | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

func nodeDrives(drives []config.Drive) []node.Drive {
	out := make([]node.Drive, len(drives))
	for i, d := range drives {
		out[i] = node.Drive{Path: d.Path, Size: int64(d.Size)}
	}
	return out
}

// nodeConfig turns what people wrote into what the node takes.
func nodeConfig(c *config.Loaded, log *slog.Logger, access io.Writer) node.Config {
	drives := nodeDrives(c.Drives)
	peers := make([]string, len(c.Join))
	for i, peer := range c.Join {
		peers[i] = peer
		if full, err := config.PeerAddress(peer); err == nil {
			peers[i] = full
		}
	}
	return node.Config{
		Name:    c.Name,
		Zone:    c.Zone,
		Version: version(),
		DataDir: c.DataDir,
		Drives:  drives,
		Configured: func() ([]node.Drive, error) {
			if c.Reload == nil {
				return drives, nil
			}
			again, err := c.Reload()
			if err != nil || len(again.Drives) == 0 {
				return drives, err
			}
			return nodeDrives(again.Drives), nil
		},
		Listen:            c.Listen,
		HTTPSListen:       c.HTTPSListen,
		HTTPSLate:         !c.Given("https_listen"),
		TLSCertFile:       c.TLS.CertFile,
		TLSKeyFile:        c.TLS.KeyFile,
		HTTP2:             c.HTTP2,
		OpsListen:         c.OpsListen,
		PeerListen:        c.PeerListen,
		PeerAdvertise:     c.PeerAdvertise,
		GossipListen:      c.GossipListen,
		GossipAdvertise:   c.GossipAdvertise,
		AdminSocket:       c.AdminSocket,
		Join:              peers,
		Token:             c.Token,
		TokenFile:         c.TokenFile,
		JoinSecretFile:    c.JoinSecret,
		Weight:            c.Weight,
		CertLife:          time.Duration(c.CertLife),
		BuiltinCatalogue:  c.BuiltinCatalogue,
		Origins:           c.Rules(),
		IPOrigins:         c.IPPrefixes(),
		ProxyProtocol:     config.Prefixes(c.ProxyProtocol),
		TrustedForwarders: config.Prefixes(c.TrustedForwarders),
		AllowClients:      config.Prefixes(c.AllowClients),
		Upstream: node.Upstream{
			Default: c.Upstream, Bypass: c.UpstreamBypass, Only: !c.UpstreamFallback, CredentialsFile: c.UpstreamCredentials,
		},
		Limits: node.Limits{
			MaxConnections:    c.Limits.MaxConnections,
			Egress:            int64(c.Limits.Egress),
			MemoryBytes:       int64(c.Limits.Memory),
			RequestsPerOrigin: c.Limits.RequestsPerOrigin,
			OriginRequests:    c.Limits.OriginRequests,
			FillsPerPeer:      c.Limits.FillsPerPeer,
			Flights:           c.Limits.Flights,
			FlightsPerOrigin:  c.Limits.FlightsPerOrigin,
			ReadAhead:         int64(c.Limits.ReadAhead),
			FreeBytes:         int64(c.Limits.FreeSpace),
			BorrowedShare:     orNone(c.Limits.BorrowedShare),
			IdleAfter:         orNone(time.Duration(c.Limits.IdleAfter)),
			ScrubRate:         int64(c.Limits.ScrubRate),
			MoveRate:          orNone(int64(c.Limits.MoveRate)),
			SpoolBytes:        orNone(int64(c.Limits.Spool)),
		},
		Timeouts: node.Timeouts{
			Connect:         time.Duration(c.Timeouts.Connect),
			FirstByte:       time.Duration(c.Timeouts.FirstByte),
			Stall:           time.Duration(c.Timeouts.Stall),
			ClientFirstByte: time.Duration(c.Timeouts.ClientFirstByte),
			PeerSilence:     time.Duration(c.Timeouts.PeerSilence),
			PeerHeartbeat:   time.Duration(c.Timeouts.PeerHeartbeat),
			BreakerOpen:     time.Duration(c.Timeouts.BreakerOpen),
			ShutdownGrace:   time.Duration(c.Timeouts.ShutdownGrace),
			GossipProbe:     time.Duration(c.Timeouts.GossipProbe),
			RaftHeartbeat:   time.Duration(c.Timeouts.RaftHeartbeat),
			RaftElection:    time.Duration(c.Timeouts.RaftElection),
			CatchUp:         time.Duration(c.Timeouts.CatchUp),
			DriveSlow:       time.Duration(c.Timeouts.DriveSlow),
		},
		Logger:    log,
		AccessLog: access,
	}
}
