package peer

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
)

// maxReceived bounds a message to a server, in bytes: that of other services
// on it may be larger than those of the fill.
const maxReceived = 4 << 20

// ServerOptions returns what a server needs that bears the fill: its codec,
// which encodes every other protobuf message as grpc's own does, buffers,
// windows and keepalive. Credentials and interceptors are the owner's.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.InitialWindowSize(streamWindow / 2), // requests are small
		grpc.WriteBufferSize(wireBuffer),
		experimental.BufferPool(&buffers),
		grpc.ReadBufferSize(wireBuffer / 4),
		grpc.MaxRecvMsgSize(maxReceived),
		// Streams are not bounded here: a FILL that waits for a place would keep
		// out the PROBE for which the FILLs of the other direction wait.
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveTime / 2, PermitWithoutStream: true}),
		grpc.MaxHeaderListSize(16 << 10),
	}
}
