package consensus

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// repeatAfter is how long the same complaint is not repeated: the library
// makes one at each heartbeat that a dead node misses.
const repeatAfter = time.Minute

// libraryLog returns a logger for Raft and autopilot whose lines go to l. Both
// call "error" what belongs to the life of a cluster (a node that is gone), so
// every level is taken down one step.
func libraryLog(l *slog.Logger) hclog.Logger {
	// The base logger writes nothing; it only carries the sink.
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Error})
	logger.RegisterSink(&sink{log: l, said: make(map[string]time.Time)})
	return logger
}

type sink struct {
	log  *slog.Logger
	mu   sync.Mutex // guards said
	said map[string]time.Time
}

// Accept takes one line of the library.
func (s *sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Error:
		to = slog.LevelWarn
	case hclog.Warn:
		to = slog.LevelInfo
	}
	if !s.log.Enabled(context.Background(), to) || to > slog.LevelDebug && s.repeats(msg, args) {
		return
	}
	attrs := make([]slog.Attr, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		attrs = append(attrs, slog.Any(fmt.Sprint(args[i]), plain(args[i+1])))
	}
	s.log.LogAttrs(context.Background(), to, msg, attrs...) //nolint:sloglint // the library's line is the message
}

// repeats reports whether msg was said a moment ago of the same node.
func (s *sink) repeats(msg string, args []any) bool {
	for i := 0; i+1 < len(args); i += 2 {
		if name := fmt.Sprint(args[i]); name == "peer" || name == "id" {
			msg += fmt.Sprint(args[i+1])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if last, ok := s.said[msg]; ok && now.Sub(last) < repeatAfter {
		return true
	}
	if len(s.said) > 1000 {
		clear(s.said)
	}
	s.said[msg] = now
	return false
}

// plain makes of the library's lazily formatted values what slog can print.
func plain(v any) any {
	switch v := v.(type) {
	case hclog.Format:
		if len(v) > 0 {
			return fmt.Sprintf(fmt.Sprint(v[0]), v[1:]...)
		}
	case error, fmt.Stringer:
		return v
	}
	return fmt.Sprint(v)
}
