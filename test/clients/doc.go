// Package clients has many simulated Delivery Optimization clients of both kinds
// (packages lite and windows) download through a cluster that they know by one
// round-robin name, and says what went wrong for them: bans, wrong bytes,
// crashes, and going to the CDN (docs/clients.md). It runs against any cluster;
// test/e2e runs it against one whose origin misbehaves and whose nodes restart.
package clients
