// Package config loads what one node is told: a YAML file, the environment
// and flags, each over the one before, on top of defaults under which
// `mccd serve` works with no configuration at all. It reports every fault at
// once, with file and line where there is one, and starts and opens nothing
// but the file itself.
package config
