// Command bench measures the delivery of hits side by side with nginx sending
// the same file by sendfile, in one run on one machine: rounds alternate
// between the two, ratios are taken within a round, the median counts. CPU
// seconds per GiB of the server's processes are steadier than throughput.
//
// The bed is made fair where root permits: a network namespace of its own, an
// MTU of 1500 on its loopback, congestion control reno. The client discards
// bodies in the kernel (MSG_TRUNC), so that it is not what is measured.
package main
