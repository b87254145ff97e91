// Package catalogue says which origins the cluster serves, and by which rules:
// the built-in rows of docs/clients.md section 7 and the rules of the
// configuration. A Catalogue is immutable; a lookup takes no lock and
// allocates nothing.
package catalogue
