// Command demo shows mccd at work: an origin with real files of this machine,
// three nodes as processes of their own, and a herd of clients that reads all
// of it through them, checking every SHA-256, while one node is killed and
// brought back. It ends with exit code 0, or 1 where a copy was wrong or a
// living node failed a client, and leaves nothing running.
package main
