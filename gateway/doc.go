// Package gateway serves the clients: it reads which object of which origin a
// request names, decides range and conditionals, and sends the bytes from the
// chunk files by sendfile while a fill is still writing them. It knows nothing
// of peers, rings or drives: a Source gives it objects and runs of verified
// bytes. DESIGN.md tells the mechanism and the answers to bad input;
// docs/clients.md is the contract with the clients.
package gateway
