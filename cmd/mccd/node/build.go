package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/gateway"
	"github.com/mccd/mccd/gateway/ops"
	"github.com/mccd/mccd/peer"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
)

// newOrigin builds the client of the CDNs. It refuses to fetch from the
// addresses on which this node serves.
func (n *Node) newOrigin() (*origin.Client, error) {
	https := n.cfg.HTTPSListen
	if n.cfg.HTTPSLate {
		https = "" // it may be somebody else's; Via tells a loop as well
	}
	var own []netip.AddrPort
	for _, addr := range []string{n.cfg.Listen, https, n.cfg.PeerListen, n.cfg.GossipListen, n.cfg.OpsListen} {
		if tcp, err := net.ResolveTCPAddr("tcp", addr); err == nil && tcp.Port != 0 {
			ip, ok := netip.AddrFromSlice(tcp.IP)
			if !ok {
				ip = netip.IPv6Unspecified()
			}
			own = append(own, netip.AddrPortFrom(ip.Unmap(), uint16(tcp.Port)))
		}
	}
	cfg := origin.Config{
		Lookup: n.catalogue.Lookup, Connect: n.cfg.Timeouts.Connect, FirstByte: n.cfg.Timeouts.FirstByte,
		Stall: n.cfg.Timeouts.Stall, MaxRequests: n.cfg.Limits.RequestsPerOrigin, MaxTotal: n.cfg.Limits.OriginRequests,
		Node: viaName(n.cfg.Name), Version: n.cfg.Version, OwnAddrs: own, Cluster: n.clusterName, Spool: n.spool(),
		Logger: n.log.With("part", "origin"), Registerer: n.registry,
	}
	if err := n.upstream(&cfg); err != nil {
		return nil, err
	}
	return origin.New(cfg)
}

// source lets the gateway see the filler, once the node knows what was purged
// while it was away.
type source struct {
	*peer.Filler
	purges *purges
}

// Open returns the object that req names.
func (s source) Open(ctx context.Context, req storage.Request) (gateway.Content, error) {
	s.purges.await(ctx)
	content, err := s.Filler.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	return content, nil
}

func (n *Node) buildGatewayAndFill() error {
	l, err := n.listen("clients", n.cfg.Listen)
	if err != nil {
		return err
	}
	https, err := n.buildHTTPS()
	if err != nil {
		return err
	}
	n.gateway, err = gateway.New(gateway.Config{
		Catalogue: n.catalogue, Source: source{n.filler, n.purges}, Pass: n.origin,
		NodeName: viaName(n.cfg.Name), NodeID: n.cluster.ID(), Cluster: n.clusterName, Zone: viaName(n.cfg.Zone), Listeners: []net.Listener{l},
		TLSListeners: https, Credentials: n.https.credentials.Load, HTTP2: n.cfg.HTTP2,
		FirstByte: n.cfg.Timeouts.ClientFirstByte, MaxConns: n.cfg.Limits.MaxConnections,
		Grace: n.cfg.Timeouts.ShutdownGrace, Draining: n.draining.Load,
		ProxyProtocol: n.cfg.ProxyProtocol, TrustedForwarders: n.cfg.TrustedForwarders, AllowClients: n.cfg.AllowClients,
		Egress: n.cfg.Limits.Egress, Summary: func() []byte { return n.summary().JSON() },
		Logger: n.log.With("part", "gateway"), AccessLog: n.cfg.AccessLog, Registerer: n.registry,
	})
	return err
}

// buildHTTPS makes what https clients are served with, and the listener where
// they come; none where https is not served.
func (n *Node) buildHTTPS() ([]net.Listener, error) {
	var late *lateListener
	var out []net.Listener
	if n.cfg.HTTPSListen != "" {
		late = newLateListener(n.cfg.HTTPSListen)
		n.onClose(late.Close)
		out = append(out, late)
		if !n.cfg.HTTPSLate {
			if err := late.bind(time.Now()); err != nil {
				return nil, err
			}
		}
	}
	if n.cfg.HTTP2 {
		n.log.Warn("HTTP/2 is offered to https clients: its header names are in lower case, and Delivery Optimization Lite looks for Content-Length and Content-Range as they are written here; it then takes broken downloads for whole ones (docs/clients.md section 4)")
	}
	n.https = newHTTPS(n.cfg, n.cluster, late, n.log.With("part", "https"), n.registry)
	n.https.look(time.Now())
	n.serving.Store(n.https)
	return out, nil
}

func (n *Node) buildOps() error {
	if n.cfg.OpsListen == "" {
		return nil
	}
	l, err := n.listen("operators", n.cfg.OpsListen)
	if err != nil {
		return err
	}
	n.ops, err = ops.New(ops.Config{
		Listener: l, Gatherer: n.registry, Node: n.cfg.Name,
		Health:  map[string]ops.Probe{"process": func(context.Context) error { return nil }},
		Ready:   map[string]ops.Probe{"draining": n.probeDraining, "storage": n.probeStorage, "joined": n.probeJoined},
		Summary: n.summary, Logger: n.log.With("part", "ops"),
	})
	return err
}

func (n *Node) buildAdmin() error {
	if n.cfg.AdminSocket == "" {
		return nil
	}
	l, err := admin.Listen(n.cfg.AdminSocket)
	if err != nil {
		return fmt.Errorf("listen for the admin service: %w", err)
	}
	n.onClose(l.Close)
	n.admin, err = admin.New(admin.Config{
		Listener: l, Cluster: members{n.cluster, n.purges}, Status: n, Freer: freer{n.store}, Drives: drives{n}, Products: products{n.catalogue}, Explainer: explainer{n}, Logger: n.log.With("part", "admin"),
	})
	return err
}

// viaName makes of a node's name what may stand in Via and Cache-Status.
func viaName(name string) string {
	out := []byte(name)
	for i, c := range out {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
		if !ok {
			out[i] = '-'
		}
	}
	return string(out)
}
