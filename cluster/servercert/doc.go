// Package servercert makes and judges the certificate by which nodes serve
// https: keys, requests to a certificate authority, chains, and the keys of
// the sessions that clients resume at any node. It keeps nothing and knows no
// cluster; keys never stand in its errors.
package servercert
