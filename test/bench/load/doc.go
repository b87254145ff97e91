// Package load asks servers for ranges as clients would, without being what is
// measured: bodies are discarded in the kernel (recv with MSG_TRUNC), and the
// figures are taken over a window in the middle of a steady load, with the CPU
// time of the server's processes by the kernel's own clocks. Linux only.
package load
