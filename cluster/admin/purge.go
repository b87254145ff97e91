package admin

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/state"
	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// Products says which hosts a product has.
type Products interface {
	// Product returns the product of that name, or of the rule of that name, and
	// the hosts of all its rules. The error says which products there are.
	Product(name string) (product string, hosts []string, err error)
}

// Purged is what a purge hit.
type Purged struct {
	// Index is the purge index, 0 after a dry run.
	Index uint64
	// Product is the product's name and Hosts what it has at the node that was
	// asked, where a product was named.
	Product string
	Hosts   []string
}

// PurgeMark is one purge. The JSON names are what `mccd purge list -o json`
// prints, and stay.
type PurgeMark struct {
	Index uint64 `json:"index"`
	// ID is 16 hexadecimal digits.
	ID string `json:"id"`
	// Host is empty for every host, or where there is a Product.
	Host    string `json:"host,omitempty"`
	Product string `json:"product,omitempty"`
	// Path is raw, a prefix where Prefix is set.
	Path   string `json:"path"`
	Prefix bool   `json:"prefix,omitempty"`
	// Created is by the leader's clock.
	Created time.Time `json:"created,omitzero"`
	// Done are the names of the nodes that hold nothing of it any more, Waiting
	// and Away of those that have not said so: they live, or do not answer.
	Done    []string `json:"done"`
	Waiting []string `json:"waiting,omitempty"`
	Away    []string `json:"away,omitempty"`
}

// PurgeList is what is kept of purges.
type PurgeList struct {
	// Marks are the newest first.
	Marks []PurgeMark `json:"marks"`
	// Dropped is the index of the newest one that is kept no more, 0 = none.
	Dropped uint64 `json:"dropped,omitempty"`
}

func (s *service) Purge(ctx context.Context, req *adminv1.PurgeRequest) (*adminv1.PurgeResponse, error) {
	spec := state.PurgeSpec{Host: req.GetHost(), Path: req.GetPath(), Prefix: req.GetPrefix(), Product: req.GetProduct()}
	if spec.Path == "" && (spec.Host == "" && spec.Product == "" || !spec.Prefix) {
		return nil, status.Error(codes.InvalidArgument, "purge: name a path, or a host or product with prefix for all of it")
	}
	if spec.Product != "" && spec.Host != "" {
		return nil, status.Error(codes.InvalidArgument, "purge: name a host or a product, not both")
	}
	resp := new(adminv1.PurgeResponse)
	if spec.Product != "" {
		if s.cfg.Products == nil {
			return nil, status.Error(codes.Unimplemented, "purge: this node knows no products")
		}
		var err error
		if spec.Product, resp.Hosts, err = s.cfg.Products.Product(spec.Product); err != nil {
			return nil, status.Error(codes.InvalidArgument, "purge: "+err.Error())
		}
		resp.Product = spec.Product
	}
	if req.GetDryRun() {
		return resp, nil
	}
	var err error
	if resp.Index, err = s.cfg.Cluster.Purge(ctx, spec); err != nil {
		return nil, wireError(ctx, err)
	}
	return resp, nil
}

func (s *service) ListPurges(ctx context.Context, _ *adminv1.ListPurgesRequest) (*adminv1.ListPurgesResponse, error) {
	all, dropped, err := s.cfg.Cluster.Purges(ctx)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	resp := &adminv1.ListPurgesResponse{Dropped: dropped}
	for _, p := range all {
		m := &p.Mark
		resp.Marks = append(resp.Marks, &adminv1.PurgeMark{
			Index: m.Index, Id: m.ID, Host: m.Host, Path: m.Path, Prefix: m.Prefix, Product: m.Product,
			Created: stamp(m.CreatedUnix), Done: p.Done, Waiting: p.Waiting, Away: p.Away,
		})
	}
	return resp, nil
}

// Purge makes all nodes forget what spec names. With dry it is only told what
// that is.
func (c *Client) Purge(ctx context.Context, spec state.PurgeSpec, dry bool) (Purged, error) {
	resp, err := c.rpc.Purge(ctx, &adminv1.PurgeRequest{
		Host: spec.Host, Path: spec.Path, Prefix: spec.Prefix, Product: spec.Product, DryRun: dry,
	})
	if err != nil {
		return Purged{}, plain(err)
	}
	return Purged{Index: resp.GetIndex(), Product: resp.GetProduct(), Hosts: resp.GetHosts()}, nil
}

// Purges returns the purges that are kept.
func (c *Client) Purges(ctx context.Context) (PurgeList, error) {
	resp, err := c.rpc.ListPurges(ctx, &adminv1.ListPurgesRequest{})
	if err != nil {
		return PurgeList{}, plain(err)
	}
	list := PurgeList{Marks: make([]PurgeMark, 0, len(resp.GetMarks())), Dropped: resp.GetDropped()}
	for _, p := range resp.GetMarks() {
		m := PurgeMark{
			Index: p.GetIndex(), ID: p.GetId(), Host: p.GetHost(), Path: p.GetPath(), Prefix: p.GetPrefix(), Product: p.GetProduct(),
			Done: p.GetDone(), Waiting: p.GetWaiting(), Away: p.GetAway(),
		}
		if c := p.GetCreated(); c.IsValid() {
			m.Created = c.AsTime()
		}
		list.Marks = append(list.Marks, m)
	}
	return list, nil
}
