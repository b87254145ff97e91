package admin

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mccd/mccd/cluster/state"
	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// maxTLSNames bounds the names of one request.
const maxTLSNames = 100

// ClientTLS is the certificate by which all nodes serve https.
type ClientTLS interface {
	// CreateTLSKey returns the request to an authority, PEM.
	CreateTLSKey(ctx context.Context, spec state.TLSKeySpec) (csr []byte, err error)
	// ImportTLS serves a chain at all nodes; with an empty key, the one that
	// CreateTLSKey made. Both are PEM.
	ImportTLS(ctx context.Context, chain, key []byte) (state.TLSStatus, error)
	TLSStatus(ctx context.Context) (state.TLSStatus, error)
}

func (s *service) CreateTLSKey(ctx context.Context, req *adminv1.CreateTLSKeyRequest) (*adminv1.CreateTLSKeyResponse, error) {
	spec := state.TLSKeySpec{Names: req.GetNames(), Kind: req.GetKind()}
	if spec.Kind == "" {
		spec.Kind = "rsa"
	}
	if len(spec.Names) == 0 || len(spec.Names) > maxTLSNames {
		return nil, status.Errorf(codes.InvalidArgument, "request a certificate: %d names: give 1 to %d by which clients call the nodes", len(spec.Names), maxTLSNames)
	}
	csr, err := s.cfg.Cluster.CreateTLSKey(ctx, spec)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.CreateTLSKeyResponse{CsrPem: csr}, nil
}

func (s *service) ImportTLS(ctx context.Context, req *adminv1.ImportTLSRequest) (*adminv1.ImportTLSResponse, error) {
	if len(req.GetCertificatePem()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "import a certificate: none is given")
	}
	st, err := s.cfg.Cluster.ImportTLS(ctx, req.GetCertificatePem(), req.GetKeyPem())
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.ImportTLSResponse{Status: tlsToProto(st)}, nil
}

func (s *service) TLSStatus(ctx context.Context, _ *adminv1.TLSStatusRequest) (*adminv1.TLSStatusResponse, error) {
	st, err := s.cfg.Cluster.TLSStatus(ctx)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return tlsToProto(st), nil
}

// CreateTLSKey has the cluster make a key for the certificate by which all
// nodes serve https, and returns the request to an authority, PEM.
func (c *Client) CreateTLSKey(ctx context.Context, spec state.TLSKeySpec) ([]byte, error) {
	resp, err := c.rpc.CreateTLSKey(ctx, &adminv1.CreateTLSKeyRequest{Names: spec.Names, Kind: spec.Kind})
	if err != nil {
		return nil, plain(err)
	}
	return resp.GetCsrPem(), nil
}

// ImportTLS makes a chain (PEM) the one that all nodes serve, and tells how they
// do. An empty key stands for one that CreateTLSKey made.
func (c *Client) ImportTLS(ctx context.Context, chain, key []byte) (TLSStatus, error) {
	resp, err := c.rpc.ImportTLS(ctx, &adminv1.ImportTLSRequest{CertificatePem: chain, KeyPem: key})
	if err != nil {
		return TLSStatus{}, plain(err)
	}
	return tlsFromProto(resp.GetStatus()), nil
}

// TLSStatus tells how the nodes serve https.
func (c *Client) TLSStatus(ctx context.Context) (TLSStatus, error) {
	resp, err := c.rpc.TLSStatus(ctx, &adminv1.TLSStatusRequest{})
	if err != nil {
		return TLSStatus{}, plain(err)
	}
	return tlsFromProto(resp), nil
}

// TLSStatus tells how the nodes serve https. The JSON names are what `mccd tls
// status -o json` prints, and stay.
type TLSStatus struct {
	// Certificate is the cluster's; nil = it has none.
	Certificate *TLSCertificate `json:"certificate,omitempty"`
	// Requested is a key whose certificate has not come yet; nil = none.
	Requested *TLSRequested `json:"requested,omitempty"`
	Nodes     []TLSNode     `json:"nodes"`
}

// TLSCertificate describes a certificate.
type TLSCertificate struct {
	Names  []string `json:"names"`
	Issuer string   `json:"issuer"`
	Key    string   `json:"key"`
	// Fingerprint is the certificate's SHA-256, hexadecimal.
	Fingerprint string    `json:"sha256"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
}

// TLSRequested is a key that waits for its certificate.
type TLSRequested struct {
	Names []string `json:"names"`
	Key   string   `json:"key"`
	// CSR is the request, PEM.
	CSR string `json:"csr"`
}

// TLSNode tells how one node serves https.
type TLSNode struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Silent: it did not answer, and the rest is not known.
	Silent bool `json:"silent,omitempty"`
	// Address is where it listens; empty = nowhere.
	Address string `json:"address,omitempty"`
	// Source is "cluster" or "files"; empty = it has no certificate.
	Source      string    `json:"source,omitempty"`
	Fingerprint string    `json:"sha256,omitempty"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	// Error is why it does not serve https, or not with the newest
	// certificate.
	Error string `json:"error,omitempty"`
}

func tlsToProto(s state.TLSStatus) *adminv1.TLSStatusResponse {
	p := &adminv1.TLSStatusResponse{}
	if c := s.Certificate; c != nil {
		p.Certificate = &adminv1.TLSCertificate{
			Names: c.Names, Issuer: c.Issuer, Key: c.Key, Fingerprint: c.Fingerprint,
			NotBefore: timestamppb.New(c.NotBefore), NotAfter: timestamppb.New(c.NotAfter),
		}
	}
	if r := s.Requested; r != nil {
		p.Requested = &adminv1.TLSRequested{Names: r.Names, Key: r.Key, CsrPem: r.CSR}
	}
	for _, n := range s.Nodes {
		node := &adminv1.TLSNode{
			Id: n.ID, Name: n.Name, Silent: n.Silent, Address: n.Served.Addr, Source: n.Served.Source,
			Fingerprint: n.Served.Fingerprint, Error: n.Served.Error,
		}
		if !n.Served.NotAfter.IsZero() {
			node.NotAfter = timestamppb.New(n.Served.NotAfter)
		}
		p.Nodes = append(p.Nodes, node)
	}
	return p
}

func tlsFromProto(p *adminv1.TLSStatusResponse) TLSStatus {
	s := TLSStatus{Nodes: []TLSNode{}}
	if c := p.GetCertificate(); c != nil {
		s.Certificate = &TLSCertificate{
			Names: c.GetNames(), Issuer: c.GetIssuer(), Key: c.GetKey(), Fingerprint: c.GetFingerprint(),
			NotBefore: c.GetNotBefore().AsTime(), NotAfter: c.GetNotAfter().AsTime(),
		}
	}
	if r := p.GetRequested(); r != nil {
		s.Requested = &TLSRequested{Names: r.GetNames(), Key: r.GetKey(), CSR: string(r.GetCsrPem())}
	}
	for _, n := range p.GetNodes() {
		node := TLSNode{
			ID: n.GetId(), Name: n.GetName(), Silent: n.GetSilent(), Address: n.GetAddress(), Source: n.GetSource(),
			Fingerprint: n.GetFingerprint(), Error: n.GetError(),
		}
		if at := n.GetNotAfter(); at.IsValid() {
			node.NotAfter = at.AsTime()
		}
		s.Nodes = append(s.Nodes, node)
	}
	return s
}
