// Package resolve keeps, at the home of an object, which version is current
// and who may ask the origin about it: one lease per object at a time, numbered
// so that a late answer cannot overwrite a newer one.
package resolve
