// Package rival starts the servers that mccd is measured beside, as Debian
// packages them: in the foreground, on addresses and with configuration files
// of the benchmark's own, never as services. Each one leads a process group,
// which is ended as a whole. Linux only.
package rival
