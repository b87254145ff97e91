package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// Host is the name that all objects are asked for by: one of the built-in
// catalogue, here with a rule that leads to the stage's origin.
const Host = "au.download.windowsupdate.com"

// stopGrace bounds the stop of a node at the end.
const stopGrace = 20 * time.Second

// Config says what is set up. Zero values mean what each field says.
type Config struct {
	// Bin is the program (process.Build). Required.
	Bin string
	// Dir is where the nodes' directories are made. Required.
	Dir string
	// Nodes is how many; 0 = one.
	Nodes int
	// DriveSize is the limit of each node's drive; empty = "4GiB".
	DriveSize string
	// Objects are what the origin has; more may be added later.
	Objects []faultorigin.Object
	// Amend changes node i's configuration; may be nil. The access log is off
	// and the free space of the file system is not looked at.
	Amend func(i int, settings map[string]any)
}

// Stage is an origin and nodes that ask it. Close ends both.
type Stage struct {
	Origin *faultorigin.Server
	*process.Cluster
}

// New sets a stage up and starts the origin; Start starts the nodes.
func New(cfg Config) (*Stage, error) {
	listener, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		return nil, err
	}
	origin, err := faultorigin.Listen(faultorigin.Config{Listener: listener, Objects: cfg.Objects})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	cluster, err := process.New(process.Config{
		Bin: cfg.Bin, Dir: filepath.Join(cfg.Dir, "nodes"), Nodes: cfg.Nodes, DriveSize: cfg.DriveSize,
		Origins: []process.Origin{{
			Name: "bench", Hosts: []string{Host}, Profile: "do", Connect: origin.Addr(), AllowPrivate: true, MaxRequests: 256,
		}},
		Amend: func(i int, settings map[string]any) {
			delete(settings, "access_log")
			if cfg.Amend != nil {
				cfg.Amend(i, settings)
			}
		},
	})
	if err != nil {
		origin.Close()
		return nil, fmt.Errorf("set up the nodes: %w", err)
	}
	return &Stage{Origin: origin, Cluster: cluster}, nil
}

// Begin is New and Start with a limit of two minutes; the stage is closed when
// it fails.
func Begin(ctx context.Context, cfg Config) (*Stage, error) {
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the nodes: %w", err), s.Close())
	}
	return s, nil
}

// Close ends nodes and origin.
func (s *Stage) Close() error {
	err := s.Cluster.Close(stopGrace)
	s.Origin.Close()
	return err
}

// Spent waits until the origin has ended all answers, and returns how many
// bytes it sent since the beginning.
func (s *Stage) Spent(ctx context.Context) (int64, error) {
	err := s.Origin.Ledger().Wait(ctx, "", func(entries []faultorigin.Entry) bool {
		for i := range entries {
			if !entries[i].Done {
				return false
			}
		}
		return true
	})
	return s.Origin.Ledger().Bytes(""), err
}
