package identity

import "errors"

// What can be wrong with tokens, certificates, sealed data and files.
var (
	ErrNotToken  = errors.New("this is not a token: one begins with MCCD1- and is printed by mccd token create")
	ErrTokenTypo = errors.New("the token is mistyped or cut off: copy it again, whole")
	// ErrShortSecret refuses a join secret that could be guessed.
	ErrShortSecret = errors.New("the join secret is shorter than 16 bytes: make one with openssl rand -hex 32")
	// ErrSealed: damaged, or sealed for another purpose.
	ErrSealed = errors.New("the sealed data is damaged or of another purpose")
	// ErrOtherKey: whole, and of no use here.
	ErrOtherKey = errors.New("sealed under another key")
	// ErrNewer: of a format that this release does not know.
	ErrNewer = errors.New("written by a newer release of mccd: upgrade this node")
	// ErrForeign: no trusted authority signed the certificate.
	ErrForeign = errors.New("the certificate is of no authority that this cluster trusts")
	// ErrNotNode: a certificate that names no node, or not as this package does.
	ErrNotNode = errors.New("the certificate does not name a node")
	// ErrOtherCluster: a certificate that names a node of another cluster.
	ErrOtherCluster = errors.New("the certificate is of another cluster")
	// ErrClock: a certificate from the future.
	ErrClock = errors.New("the certificate is not valid yet: compare the clocks of both nodes")
	// ErrNoIdentity: a folder that holds none yet.
	ErrNoIdentity = errors.New("no identity here yet")
	// ErrOpenToOthers: a secret file that other users may read or write.
	ErrOpenToOthers = errors.New("other users have access to it")
)
