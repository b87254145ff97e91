// Package loopback gives each test a loopback address of its own. A port of
// 127.0.0.1 that a test has closed may be taken by any process's listener or
// outgoing connection before the test uses it again; at an address of the
// test's own nobody else is, so that it can listen there again, and so that a
// closed port stays closed.
package loopback
