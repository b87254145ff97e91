// Package startup measures how soon a node with a full drive serves: from the
// start of its process until a client has the right bytes of an object that is
// on the drive, with nothing of drive and program in the kernel's caches,
// after an orderly stop and after a kill.
package startup
