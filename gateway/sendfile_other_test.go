//go:build !linux

package gateway

const hasSendfile = false
