// Package e2e holds the end-to-end tests: real mccd processes on 127.0.0.1, .2
// and so on, a scripted origin with a ledger of every byte, and herds of
// clients that check every byte. They say what the whole promises to clients
// while nodes join, leave, are killed, hang, restart, lose a drive, a quorum or
// the network, and what it keeps from strangers. With -short all of them are
// skipped. The flags -rounds=50, -partition=2m, -downloads=1000 and -seed=N
// make some of them longer, or the same again.
package e2e
