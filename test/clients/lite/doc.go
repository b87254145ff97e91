// Package lite is a simulated Delivery Optimization agent of the open-source
// kind (docs/clients.md sections 2, 4 and 5): one GET for the whole file, resumes
// whose Range lines accumulate, lengths read by exact names, what a 200 to a
// Range brings appended, and what each failure costs. It does what that agent
// does and not what would be right, so that a cache that breaks the contract
// gives it a wrong file, a ban or a crash.
package lite
