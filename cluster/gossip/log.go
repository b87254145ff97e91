package gossip

import (
	"bytes"
	"context"
	"log"
	"log/slog"
)

// libraryLog returns a logger for memberlist whose lines go to l. The library
// calls "error" what belongs to the life of a cluster (a peer that is gone),
// so every level is taken down one step.
func libraryLog(l *slog.Logger) *log.Logger {
	return log.New(&lineWriter{l}, "", 0)
}

type lineWriter struct{ log *slog.Logger }

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
	w.log.Log(context.Background(), level, string(line)) //nolint:sloglint // the library's line is the message
	return len(b), nil
}
