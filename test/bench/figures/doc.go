// Package figures turns what benchmarks measured into findings: medians over
// rounds, ratios within a round, their spread, what must be reached and what
// is aimed at; it prints them as a table and writes them as rows.
package figures
