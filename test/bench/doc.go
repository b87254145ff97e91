// Command bench measures mccd side by side with the servers that its users
// would take otherwise, in one run on one machine (docs/benchmarks.md): rounds
// alternate between all of them, ratios are taken within a round, the median
// counts. Each target prints a table and writes its rows to
// out/bench-TARGET.json.
//
// Where root permits, all runs in namespaces of its own: of processes, so that
// nothing outlives the program, and of the network, with an MTU of 1500 on the
// loopback and congestion control reno, which is fair to everybody.
package main
