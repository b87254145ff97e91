// Command soak puts much more content through a cluster than its drives hold,
// with many clients, for minutes: `make soak`. Each second it samples memory,
// what the drives hold, goroutines and descriptors; at the end it says whether
// the limits held, whether memory grew, and whether anything was left behind.
// Samples go to out/soak.csv and out/soak.svg, figures to out/soak.json.
package main
