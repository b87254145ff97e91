package gossip

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"sync"
	"time"
)

const (
	// Of lines that begin alike one a minute is written.
	sameEvery = time.Minute
	// maxBeginnings are told apart; the rest count as one.
	maxBeginnings = 64
	maxBeginning  = 48
)

// libraryLog returns a logger for memberlist whose lines go to l. The library
// calls "error" what belongs to the life of a cluster (a peer that is gone),
// so every level is taken down one step. Any stranger's packet is a line for
// it: of those that begin alike one a minute is written, with the count of the
// others.
func libraryLog(l *slog.Logger) *log.Logger {
	return log.New(newLineWriter(l, time.Now), "", 0)
}

type lineWriter struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex // guards seen
	seen map[string]*beginning
}

// beginning is what is known of the lines that begin alike.
type beginning struct {
	written time.Time
	held    int
}

func newLineWriter(l *slog.Logger, now func() time.Time) *lineWriter {
	return &lineWriter{log: l, now: now, seen: make(map[string]*beginning)}
}

// Write takes one line: "[LEVEL] memberlist: text".
func (w *lineWriter) Write(b []byte) (int, error) {
	line := bytes.TrimSpace(b)
	level := slog.LevelDebug
	if rest, ok := bytes.CutPrefix(line, []byte("[")); ok {
		if name, text, ok := bytes.Cut(rest, []byte("] ")); ok {
			line = text
			switch string(name) {
			case "ERR", "ERROR":
				level = slog.LevelWarn
			case "WARN":
				level = slog.LevelInfo
			}
		}
	}
	line = bytes.TrimPrefix(line, []byte("memberlist: "))
	if !w.log.Enabled(context.Background(), level) {
		return len(b), nil
	}
	held, due := 0, true
	if level > slog.LevelDebug {
		held, due = w.due(line)
	}
	if !due {
		return len(b), nil
	}
	var attrs []slog.Attr
	if held > 0 {
		attrs = append(attrs, slog.Int("alike and not written", held))
	}
	w.log.LogAttrs(context.Background(), level, string(line), attrs...) //nolint:sloglint // the library's line is the message
	return len(b), nil
}

// due reports whether the line is to be written, and how many that begin alike
// were not since the last one.
func (w *lineWriter) due(line []byte) (held int, due bool) {
	// Numbers, names and addresses come behind one of these.
	if i := bytes.IndexAny(line, `:("'%0123456789`); i >= 0 {
		line = line[:i]
	}
	key := string(line[:min(len(line), maxBeginning)])
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.seen[key]
	if b == nil && len(w.seen) >= maxBeginnings {
		key = ""
		b = w.seen[key]
	}
	now := w.now()
	if b == nil {
		w.seen[key] = &beginning{written: now}
		return 0, true
	}
	if now.Sub(b.written) < sameEvery {
		b.held++
		return 0, false
	}
	held, b.held, b.written = b.held, 0, now
	return held, true
}
