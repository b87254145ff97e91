package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mccd/mccd/cluster"
	"github.com/mccd/mccd/cluster/servercert"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/gateway"
)

const (
	// httpsInterval is how soon a new certificate is served.
	httpsInterval = 250 * time.Millisecond
	// filesInterval is how soon new files are seen.
	filesInterval = time.Second
	// expiryWarn and expiryAlarm are how long before its end a certificate is
	// warned of, and how long before the warning is an error.
	expiryWarn, expiryAlarm = 30 * 24 * time.Hour, 7 * 24 * time.Hour
)

// The sources of a certificate.
const (
	httpsCluster = "cluster"
	httpsFiles   = "files"
)

// certified is the cluster's side of https.
type certified interface {
	TLSMark() string
	TLSKeyPair() (*cluster.TLSKeyPair, error)
	TicketKeys(now time.Time) [][32]byte
}

// https keeps what clients under TLS are served with: the files that the
// configuration names, else what the cluster has. What cannot be read leaves
// in place what was served before.
type https struct {
	certFile, keyFile string
	cluster           certified
	listener          *lateListener // nil: https is not served
	log               *slog.Logger
	expiry            *prometheus.GaugeVec

	credentials atomic.Pointer[gateway.Credentials]
	served      atomic.Pointer[state.ServedTLS]

	// What follows is of whoever calls look, one at a time.
	now      serving
	mark     string // of the cluster's state, or of the files
	lookedAt time.Time
	unread   error // why the files could not be read
	warned   int   // steps of expiry that were told
	told     string
}

// serving is a certificate with the keys of its sessions.
type serving struct {
	creds   gateway.Credentials
	chain   servercert.Chain
	source  string
	tickets string // what creds.TicketKeys are
}

func newHTTPS(cfg Config, c certified, l *lateListener, log *slog.Logger, reg prometheus.Registerer) *https {
	h := &https{
		certFile: cfg.TLSCertFile, keyFile: cfg.TLSKeyFile, cluster: c, listener: l, log: log,
		expiry: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
			Name: "mccd_tls_certificate_expiry_timestamp_seconds",
			Help: "When the certificate ends by which this node serves https, in seconds since 1970, by where it is from: cluster or files.",
		}, []string{"source"}),
	}
	h.served.Store(&state.ServedTLS{})
	return h
}

// run serves each new certificate until ctx is done.
func (h *https) run(ctx context.Context) error {
	ticker := time.NewTicker(httpsInterval)
	defer ticker.Stop()
	for {
		h.look(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look takes what is new.
func (h *https) look(now time.Time) {
	var next serving
	var err error
	switch {
	case h.certFile == "":
		next, err = h.fromCluster()
	case now.Sub(h.lookedAt) >= filesInterval:
		h.lookedAt = now
		next, err = h.fromFiles()
		h.unread = err
	default:
		next, err = h.now, h.unread
	}
	if keys := h.cluster.TicketKeys(now); ticketMark(keys) != next.tickets {
		next.creds.TicketKeys, next.tickets = keys, ticketMark(keys)
	}
	if next.chain != nil && (h.now.chain == nil || next.chain.Fingerprint() != h.now.chain.Fingerprint()) {
		h.log.Info("serves https with a certificate", "names", strings.Join(next.chain.Names(), " "), "issuer", next.chain.Issuer(),
			"sha256", next.chain.Fingerprint(), "expires", next.chain[0].NotAfter, "from", next.source)
		h.warned = 0
		h.expiry.Reset()
		h.expiry.WithLabelValues(next.source).Set(float64(next.chain[0].NotAfter.Unix()))
	}
	if next.chain != nil && (h.credentials.Load() == nil || !sameServing(next, h.now)) {
		creds := next.creds
		h.credentials.Store(&creds)
	}
	h.now = next
	// Without a certificate too: a handshake that fails costs clients nothing, a
	// port that refuses them costs the cache 15 minutes (docs/clients.md section 5).
	if h.listener != nil {
		if bindErr := h.listener.bind(now); bindErr != nil && next.chain != nil {
			err = errors.Join(err, bindErr)
		}
	}
	h.tell(now, err)
}

func sameServing(a, b serving) bool {
	return a.tickets == b.tickets && b.chain != nil && a.source == b.source && slices.EqualFunc(a.chain, b.chain, (*x509.Certificate).Equal)
}

// ticketMark tells keys apart, and nothing of them but that.
func ticketMark(keys [][32]byte) string {
	if len(keys) == 0 {
		return ""
	}
	return string(keys[0][:])
}

// fromFiles reads the files where they have changed, or could not be read.
func (h *https) fromFiles() (serving, error) {
	mark := fileMark(h.certFile) + fileMark(h.keyFile)
	if mark == h.mark && h.unread == nil {
		return h.now, nil
	}
	cert, chain, err := servercert.Load(h.certFile, h.keyFile)
	if err != nil {
		return h.now, err
	}
	h.mark = mark
	if info, err := os.Stat(h.keyFile); err == nil && openToOthers(info.Mode()) {
		h.log.Warn("the private key for https may be read by other users: run chmod 600", "tls.key_file", h.keyFile)
	}
	next := h.now
	next.creds.Certificate, next.chain, next.source = cert, chain, httpsFiles
	return next, nil
}

// fileMark changes with a file.
func fileMark(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return name
	}
	return fmt.Sprint(name, info.Size(), info.ModTime().UnixNano())
}

// fromCluster takes the cluster's certificate where it has changed, or could
// not be unsealed.
func (h *https) fromCluster() (serving, error) {
	mark := h.cluster.TLSMark()
	if mark == h.mark {
		return h.now, nil
	}
	pair, err := h.cluster.TLSKeyPair()
	if err != nil {
		return h.now, err
	}
	h.mark = mark
	if pair == nil { // the node has left its cluster: it goes on with what it has
		return h.now, nil
	}
	next := h.now
	next.creds.Certificate, next.chain, next.source = pair.Chain.Certificate(pair.Key), pair.Chain, httpsCluster
	return next, nil
}

// tell says what is served, and what is wrong: once, and again where it changes.
func (h *https) tell(now time.Time, err error) {
	s := state.ServedTLS{}
	if h.listener != nil {
		s.Addr = h.listener.Addr().String()
		if !h.listener.bound() {
			s.Addr = ""
		}
	}
	if h.now.chain != nil {
		s.Source, s.Fingerprint, s.NotAfter = h.now.source, h.now.chain.Fingerprint(), h.now.chain[0].NotAfter.UTC()
		if expired := h.now.chain.CheckTime(now); err == nil {
			err = expired
		}
		h.warnExpiry(now)
	}
	if err != nil {
		s.Error = err.Error()
	}
	if s.Error != h.told {
		if s.Error != "" {
			h.log.Warn("https is not served as it should be; http is", "error", s.Error)
		}
		h.told = s.Error
	}
	h.served.Store(&s)
}

// warnExpiry says once at each step that the certificate comes to its end.
func (h *https) warnExpiry(now time.Time) {
	step, left := 0, h.now.chain[0].NotAfter.Sub(now)
	switch {
	case left <= 0:
		step = 3
	case left <= expiryAlarm:
		step = 2
	case left <= expiryWarn:
		step = 1
	}
	if step <= h.warned {
		return
	}
	h.warned = step
	level := slog.LevelWarn
	if step > 1 {
		level = slog.LevelError
	}
	h.log.Log(context.Background(), level, "the certificate for https comes to its end", "it", expiryText(left), "names", strings.Join(h.now.chain.Names(), " "),
		"expires", h.now.chain[0].NotAfter)
}

// expiryText says when something ends that has so much left.
func expiryText(left time.Duration) string {
	switch {
	case left <= 0:
		return "has expired: clients do not take it; renew it (mccd tls csr, mccd tls import)"
	case left < 48*time.Hour:
		return fmt.Sprintf("expires in %d hours; renew it (mccd tls csr, mccd tls import)", int(left.Hours()))
	default:
		return fmt.Sprintf("expires in %d days; renew it (mccd tls csr, mccd tls import)", int(left.Hours()/24))
	}
}

// warnings are for the status of the node.
func (h *https) warnings(now time.Time) []string {
	var out []string
	s := h.served.Load()
	if s.Error != "" {
		out = append(out, "https: "+s.Error)
	}
	if left := s.NotAfter.Sub(now); left > 0 && left <= expiryWarn {
		out = append(out, "the certificate for https "+expiryText(left))
	}
	return out
}
