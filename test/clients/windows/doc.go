// Package windows is a simulated Delivery Optimization agent of Windows, as far
// as it is known (docs/clients.md section 3): two streams, each of which probes
// bytes=0-1 and then asks for aligned pieces of 1 MiB up to the exact last byte;
// each piece is checked by its SHA-256; piece hashes are asked for beside; a list
// of caches is used in order, and the CDN at once after that. What a failure
// bans is taken to be as with the open-source agent.
package windows
