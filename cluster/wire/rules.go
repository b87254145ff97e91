package wire

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Rules say who may call what: a full method ("/pkg.Service/Method") or a
// whole service ("/pkg.Service/*") to the roles that may. A method's own rule
// counts before its service's. What is not listed is refused.
type Rules map[string][]Role

// Unary refuses calls against the rules with PermissionDenied.
func (r Rules) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := r.check(ctx, info.FullMethod); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

// Stream refuses calls against the rules with PermissionDenied.
func (r Rules) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if err := r.check(ss.Context(), info.FullMethod); err != nil {
			return err
		}
		return handler(srv, ss)
	}
}

// check returns a status error; it is for the caller alone.
func (r Rules) check(ctx context.Context, method string) error {
	p, ok := PeerFrom(ctx)
	if !ok {
		return status.Error(codes.PermissionDenied, "this call did not come over the port between nodes")
	}
	roles, ok := r[method]
	if !ok {
		service := method[:strings.LastIndexByte(method, '/')+1]
		roles, ok = r[service+"*"]
	}
	if !ok {
		return status.Error(codes.PermissionDenied, "this call is not for other nodes: compare the releases of both")
	}
	if slices.Contains(roles, p.Role) {
		return nil
	}
	return status.Error(codes.PermissionDenied, p.why())
}

// why tells the other end what its role lacks.
func (p Peer) why() string {
	if p.Why != "" {
		return p.Why
	}
	switch p.Role {
	case RoleNone:
		return "this call needs a node's certificate: join with a token"
	case RoleExpired:
		return "the node's certificate is out of date: it has to be renewed first"
	case RoleRemoved:
		return "this node was removed from the cluster: join it again with a new token"
	default:
		return "this call is not for a " + p.Role.String()
	}
}
