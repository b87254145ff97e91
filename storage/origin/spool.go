package origin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mccd/mccd/storage"
)

// maxSpooled bounds the answers that are spooled at one time.
const maxSpooled = 64

// Spool is where answers of unknown length wait for their end.
type Spool struct {
	// Dir is a folder for files without a name; it is made at need. "" = the
	// system's for temporary files.
	Dir string
	// Bytes bounds them together; 0 = nothing is spooled.
	Bytes int64
}

// spools are the answers being spooled, or read from there.
type spools struct {
	cfg  Spool
	long long

	mu    sync.Mutex // guards what follows
	files int
	bytes int64
}

func newSpools(cfg Spool) *spools { return &spools{cfg: cfg} }

// errSpoolFull: there is no room for now; errTooLong: there would never be.
var (
	errSpoolFull = fmt.Errorf("%w: no room to spool an answer of unknown length (limits.spool)", storage.ErrBusy)
	errTooLong   = fmt.Errorf("%w: more than limits.spool", storage.ErrLength)
)

// spooled is one answer. Its bytes are written, then read, then closed.
type spooled struct {
	s    *spools
	file *os.File
	size int64
	once sync.Once
	read io.Reader
}

// open begins one.
func (s *spools) open() (*spooled, error) {
	s.mu.Lock()
	if s.cfg.Bytes <= 0 {
		s.mu.Unlock()
		return nil, storage.ErrLength
	}
	if s.files >= maxSpooled {
		s.mu.Unlock()
		return nil, errSpoolFull
	}
	s.files++
	s.mu.Unlock()
	f, err := s.file()
	if err != nil {
		s.give(0)
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return &spooled{s: s, file: f}, nil
}

// file returns a new file that is gone with its descriptor where the system
// allows that, else with Close.
func (s *spools) file() (*os.File, error) {
	if s.cfg.Dir != "" {
		if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp(s.cfg.Dir, "spool-*")
	if err == nil {
		_ = os.Remove(f.Name()) // where it fails Close does it
	}
	return f, err
}

// take reserves n bytes.
func (s *spools) take(n, have int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case have+n > s.cfg.Bytes:
		return errTooLong
	case s.bytes+n > s.cfg.Bytes:
		return errSpoolFull
	}
	s.bytes += n
	return nil
}

func (s *spools) give(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files--
	s.bytes -= n
}

// Write implements io.Writer.
func (f *spooled) Write(p []byte) (int, error) {
	if err := f.s.take(int64(len(p)), f.size); err != nil {
		return 0, err
	}
	f.size += int64(len(p))
	return f.file.Write(p)
}

// fill takes all of from, to its end, and makes it ready to be read.
func (f *spooled) fill(from io.Reader) error {
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	f.read = io.NewSectionReader(f.file, 0, f.size)
	return nil
}

// Read implements io.Reader.
func (f *spooled) Read(p []byte) (int, error) {
	n, err := f.read.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read spool: %w", err)
	}
	return n, err
}

// Close implements io.Closer. It may be called while Read runs, which then
// fails.
func (f *spooled) Close() error {
	var err error
	f.once.Do(func() {
		err = f.file.Close()
		_ = os.Remove(f.file.Name())
		f.s.give(f.size)
	})
	return err
}
