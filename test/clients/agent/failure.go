package agent

import (
	"errors"
	"fmt"

	"github.com/mccd/mccd/test/clients/wire"
)

// Cause says why a request failed.
type Cause string

// The causes that the table of docs/clients.md section 5 tells apart, and those
// that only the Windows agent sees.
const (
	CauseNoName   Cause = "name not resolved"
	CauseRefused  Cause = "connection refused"
	CauseConnect  Cause = "connect time-out"
	CauseSlow     Cause = "too slow for too long"
	CauseNoAnswer Cause = "closed without an answer"
	CauseCut      Cause = "closed in mid-body"
	CauseStatus   Cause = "status"
	// CauseAnswer: another range or length than was asked for.
	CauseAnswer Cause = "unusable answer"
	// CauseHash: a piece does not match its SHA-256.
	CauseHash Cause = "piece hash"
	// CauseBanned: the cache was banned before, so it was not asked.
	CauseBanned Cause = "banned before"
)

// Failure is a request that failed.
type Failure struct {
	Cause Cause
	// Status is the answer's, 0 for none.
	Status int
	// Addr is who was asked, Off the first byte that was wanted.
	Addr string
	Off  int64
	Err  error
}

// Error says it in one line.
func (f *Failure) Error() string {
	text := string(f.Cause)
	if f.Cause == CauseStatus {
		text = fmt.Sprintf("%s %d", f.Cause, f.Status)
	}
	if f.Err != nil {
		text += fmt.Sprintf(" (%v)", f.Err)
	}
	return fmt.Sprintf("%s, from %s at byte %d", text, f.Addr, f.Off)
}

// Kind is the cause, with the status where that is it.
func (f *Failure) Kind() string {
	if f.Cause == CauseStatus {
		return fmt.Sprintf("%s %d", f.Cause, f.Status)
	}
	return string(f.Cause)
}

func failure(addr string, err error, otherwise Cause) *Failure {
	f := &Failure{Cause: otherwise, Addr: addr, Err: err}
	for is, cause := range map[error]Cause{
		wire.ErrRefused: CauseRefused, wire.ErrConnect: CauseConnect, wire.ErrSlow: CauseSlow, wire.ErrNoAnswer: CauseNoAnswer,
	} {
		if errors.Is(err, is) {
			f.Cause = cause
		}
	}
	return f
}
