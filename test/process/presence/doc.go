// Package presence reads which blocks the drives of a cluster hold, while its
// nodes run, hang or are dead: it reads what the chunk files say of
// themselves, not the content, and opens copies of that with storage/disk.
package presence
