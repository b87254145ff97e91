//go:build !unix

package config

func writable(string) bool { return false }
