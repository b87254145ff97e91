package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

const (
	// maxAddresses bounds what one Join may try, maxRequest a request in
	// bytes.
	maxAddresses, maxRequest = 64, 1 << 20
	// grace is how long calls in progress may take when the server ends.
	grace = 2 * time.Second
)

// Joiner joins the node's cluster with that of a peer.
type Joiner interface {
	// Join returns when a peer has answered. Its errors say what to do.
	Join(ctx context.Context, addrs []string) error
}

// StatusSource tells how the node is.
type StatusSource interface {
	Status(ctx context.Context) (Status, error)
}

// Config is all that a Server needs.
type Config struct {
	// Listener is where the server listens, as made by Listen. The server
	// closes it.
	Listener net.Listener
	Joiner   Joiner
	Status   StatusSource
	// Logger may be nil.
	Logger *slog.Logger
}

// Server is the admin service of one node.
type Server struct {
	cfg    Config
	log    *slog.Logger
	grpc   *grpc.Server
	health *health.Server
}

// New checks cfg; it starts no goroutine.
func New(cfg Config) (*Server, error) {
	if cfg.Listener == nil || cfg.Joiner == nil || cfg.Status == nil {
		return nil, errors.New("admin: listener, joiner or status source is missing")
	}
	s := &Server{cfg: cfg, log: cfg.Logger, health: health.NewServer()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest), grpc.MaxConcurrentStreams(64), grpc.ConnectionTimeout(5*time.Second))
	adminv1.RegisterAdminServer(s.grpc, &service{Server: s})
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus(adminv1.Admin_ServiceDesc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	reflection.Register(s.grpc)
	return s, nil
}

// Run serves until ctx is done; calls in progress get 2 s to end. It returns
// nil then. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.cfg.Listener) }()
	select {
	case err := <-served:
		s.grpc.Stop()
		return fmt.Errorf("serve admin: %w", err)
	case <-ctx.Done():
	}
	s.health.Shutdown()
	force := time.AfterFunc(grace, s.grpc.Stop)
	s.grpc.GracefulStop()
	force.Stop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Close ends a Server whose Run was never called, and its listener; after Run
// it does nothing.
func (s *Server) Close() error {
	s.grpc.Stop()
	if err := s.cfg.Listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close admin: %w", err)
	}
	return nil
}

// service answers the calls.
type service struct {
	adminv1.UnimplementedAdminServer
	*Server
}

func (s *service) Status(ctx context.Context, _ *adminv1.StatusRequest) (*adminv1.StatusResponse, error) {
	st, err := s.cfg.Status.Status(ctx)
	if err != nil {
		return nil, wireError(ctx, codes.Internal, err)
	}
	return statusToProto(st), nil
}

func (s *service) Join(ctx context.Context, req *adminv1.JoinRequest) (*adminv1.JoinResponse, error) {
	addrs := req.GetAddresses()
	if len(addrs) == 0 || len(addrs) > maxAddresses {
		return nil, status.Errorf(codes.InvalidArgument, "join: %d addresses: name 1 to %d peers, host or host:7946", len(addrs), maxAddresses)
	}
	if err := s.cfg.Joiner.Join(ctx, addrs); err != nil {
		return nil, wireError(ctx, codes.FailedPrecondition, err)
	}
	st, err := s.cfg.Status.Status(ctx)
	if err != nil {
		return nil, wireError(ctx, codes.Internal, fmt.Errorf("joined, but status: %w", err))
	}
	return &adminv1.JoinResponse{Nodes: nodesToProto(st.Nodes)}, nil
}

// wireError gives err its code on the wire.
func wireError(ctx context.Context, code codes.Code, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Error(code, err.Error())
}
