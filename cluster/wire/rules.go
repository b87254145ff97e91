package wire

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// Rules say who may call what: a full method ("/pkg.Service/Method") or a
// whole service ("/pkg.Service/*") to the roles that may. A method's own rule
// counts before its service's. What is not listed is refused.
type Rules map[string][]Role

// Tap refuses calls against the rules with PermissionDenied before anything of
// their messages is read.
func (r Rules) Tap() tap.ServerInHandle {
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		_, err := r.check(ctx, info.FullMethodName)
		return ctx, err
	}
}

// Unary refuses calls against the rules with PermissionDenied.
func (r Rules) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		conn, err := r.check(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		defer conn.call()()
		return handler(ctx, req)
	}
}

// Stream refuses calls against the rules with PermissionDenied.
func (r Rules) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		conn, err := r.check(ss.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		defer conn.call()()
		return handler(srv, ss)
	}
}

// check asks the Policy who calls now, and whether it may. The error is of
// package status, for the caller alone.
func (r Rules) check(ctx context.Context, method string) (*Conn, error) {
	conn, ok := connFrom(ctx)
	if !ok {
		return nil, status.Error(codes.PermissionDenied, "this call did not come over the port between nodes")
	}
	roles, ok := r[method]
	if !ok {
		service := method[:strings.LastIndexByte(method, '/')+1]
		roles, ok = r[service+"*"]
	}
	if !ok {
		return nil, status.Error(codes.PermissionDenied, "this call is not for other nodes: compare the releases of both")
	}
	now, err := conn.now()
	why := now.why()
	switch {
	case err != nil:
		why = "this node's certificate is refused by now"
	case slices.Contains(roles, now.Role):
		return conn, nil
	}
	conn.denied(method, now, why)
	return nil, status.Error(codes.PermissionDenied, why)
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
	case RoleUnknown:
		return "the other node does not know this one (yet)"
	default:
		return "this call is not for a " + p.Role.String()
	}
}
