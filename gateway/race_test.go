//go:build race

package gateway

// underRace: the detector makes a sync.Pool forget.
const underRace = true
