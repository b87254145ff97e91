package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// logFile is an append-only file that can be opened anew under its name, after
// a rotation moved the former one away. It is safe for concurrent use.
type logFile struct {
	path string

	mu sync.Mutex // guards f
	f  *os.File
}

// openAccessLog returns the writer that path names, nil for none, and what
// opens it anew and closes it.
func openAccessLog(path string, stdout io.Writer) (w io.Writer, reopen func() error, closeLog func(), err error) {
	nothing := func() error { return nil }
	switch path {
	case "":
		return nil, nothing, func() {}, nil
	case "-":
		return stdout, nothing, func() {}, nil
	}
	l := &logFile{path: filepath.Clean(path)}
	if err := l.reopen(); err != nil {
		return nil, nil, nil, err
	}
	return l, l.reopen, l.close, nil
}

// reopen opens the file that the path names now; on an error the former one
// stays in use.
func (l *logFile) reopen() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open access log: %w", err)
	}
	l.mu.Lock()
	l.f, f = f, l.f
	l.mu.Unlock()
	if f != nil {
		_ = f.Close()
	}
	return nil
}

// Write appends p.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(p)
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.f.Close()
}
