// Package faultorigin is a scripted CDN with a ledger, for tests, benchmarks
// and the demo. Each byte of an object is a pure function of (path, version,
// offset), so that any copy can be checked without keeping the original; the
// ledger notes every request and every byte that was written, so that "one
// trip to the origin" is asserted and not believed; a script per path makes
// the origin slow, silent, broken or a liar. It imports nothing of mccd but
// storage.
package faultorigin
