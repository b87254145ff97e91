package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

const (
	// maxMessage bounds a request or an answer, in bytes: a backup.
	maxMessage = 32 << 20
	// grace is how long calls in progress may take when the server ends.
	grace = 2 * time.Second
)

// StatusSource tells how the node is.
type StatusSource interface {
	Status(ctx context.Context) (Status, error)
}

// Config is all that a Server needs.
type Config struct {
	// Listener is where the server listens, as made by Listen. The server
	// closes it.
	Listener net.Listener
	Cluster  Cluster
	Status   StatusSource
	// Freer may be nil: no room can be made then.
	Freer Freer
	// Drives may be nil: they cannot be changed then.
	Drives Drives
	// Products may be nil: nothing is purged by product then.
	Products Products
	// Explainer may be nil: nothing is explained then.
	Explainer Explainer
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
	if cfg.Listener == nil || cfg.Cluster == nil || cfg.Status == nil {
		return nil, errors.New("admin: listener, cluster or status source is missing")
	}
	s := &Server{cfg: cfg, log: cfg.Logger, health: health.NewServer()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(64),
		grpc.ConnectionTimeout(5*time.Second), grpc.UnaryInterceptor(s.record), grpc.StreamInterceptor(s.recordStream))
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

// record logs what an operator asked for and how it ended, never what was in
// it. Reads are not worth a line.
func (s *Server) record(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	begun := time.Now()
	resp, err := handler(ctx, req)
	switch info.FullMethod {
	case adminv1.Admin_Status_FullMethodName, adminv1.Admin_ListTokens_FullMethodName, adminv1.Admin_GetConfig_FullMethodName, adminv1.Admin_ListPurges_FullMethodName,
		adminv1.Admin_TLSStatus_FullMethodName,
		adminv1.Admin_Explain_FullMethodName,
		grpc_health_v1.Health_Check_FullMethodName, grpc_health_v1.Health_List_FullMethodName:
	default:
		s.log.Info("operator asked", "call", info.FullMethod, "code", status.Code(err).String(),
			"took", time.Since(begun).Round(time.Millisecond))
	}
	return resp, err
}

// recordStream is record for calls that stream.
func (s *Server) recordStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	begun := time.Now()
	err := handler(srv, stream)
	switch info.FullMethod {
	case adminv1.Admin_RemoveDrive_FullMethodName, adminv1.Admin_ReplaceDrive_FullMethodName:
		s.log.Info("operator asked", "call", info.FullMethod, "code", status.Code(err).String(),
			"took", time.Since(begun).Round(time.Millisecond))
	}
	return err
}
