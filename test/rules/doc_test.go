// Package rules_test holds the rules of the repository as tests: who may
// import whom and why not, a comment on every package, the size of files, the
// names of packages, and words that have no place here. Each rule is a pure
// function of a file system and is proven on a bad sample.
package rules_test
