package gateway

import "io"

// screen stands between net/http and a connection that was handed over. It
// lets pass heads whose lines all end with CRLF and are not folded, with one
// length at most and no coding: what readers of requests disagree about never gets far
// enough to be understood (RFC 9112 sections 2.2, 5.2, 6.3 and 11.2). Since a
// request with a body is refused and ends the connection, there is nothing but
// heads. It is used by one goroutine at a time.
type screen struct {
	follows bool // the line is not the request's first
	cr      bool // the last byte was CR
	col     int  // bytes of the line
	// name is the beginning of the field's name, lower case, and n its length.
	name    [len("transfer-encoding") + 1]byte
	n       int
	valued  bool // the name is over
	lengths int  // lines of Content-Length

	end []byte // what is left to be read in place of what was refused
	bad bool
}

// refused makes net/http answer 400 wherever in a head it is read.
const refused = "\x00\r\n\r\n"

// read reads from from, up to what is refused.
func (s *screen) read(p []byte, from func([]byte) (int, error)) (int, error) {
	if s.bad {
		return s.refuse(p)
	}
	n, err := from(p)
	if ok := s.pass(p[:n]); ok < n {
		s.bad, s.end = true, []byte(refused)
		if ok == 0 {
			return s.refuse(p)
		}
		return ok, nil
	}
	return n, err
}

func (s *screen) refuse(p []byte) (int, error) {
	n := copy(p, s.end)
	if s.end = s.end[n:]; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// pass returns how many bytes of p may be read; the next one may not.
func (s *screen) pass(p []byte) int {
	for i, c := range p {
		if s.cr {
			if c != '\n' {
				return i
			}
			s.line()
			continue
		}
		switch {
		case c == '\n', c == 0, s.col == 0 && (c == ' ' || c == '\t'):
			return i
		case c == '\r':
			s.cr = true
			continue
		}
		s.col++
		if s.follows && !s.valued && !s.field(c) {
			return i
		}
	}
	return len(p)
}

// line ends a line.
func (s *screen) line() {
	empty := s.col == 0
	s.cr, s.col, s.n, s.valued = false, 0, 0, false
	if empty { // and with it the head
		s.follows, s.lengths = false, 0
	} else {
		s.follows = true
	}
}

// field reads c as a part of a field's name; false where the head has a coding,
// or a second length.
func (s *screen) field(c byte) bool {
	if c != ':' {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if s.n < len(s.name) {
			s.name[s.n] = c
			s.n++
		}
		return true
	}
	s.valued = true
	switch string(s.name[:s.n]) {
	case "content-length":
		s.lengths++
	case "transfer-encoding":
		return false // of a body, in any case
	}
	return s.lengths < 2
}
