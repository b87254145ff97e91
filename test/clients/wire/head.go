package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxHead bounds the head of an answer.
const maxHead = 64 << 10

// Field is one line of a head, its name as it came.
type Field struct{ Name, Value string }

// Head is an answer's status and fields.
type Head struct {
	Status int
	Fields []Field
}

// Exact returns the value of the first field with just this name: case counts.
func (h *Head) Exact(name string) (string, bool) {
	for _, f := range h.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Fold returns the value of the first field with this name in any case.
func (h *Head) Fold(name string) (string, bool) {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// errHead: what came is no head of HTTP/1.1.
var errHead = errors.New("not an answer of HTTP/1.1")

// ReadHead reads the head of the answer to what was sent; heads of 1xx are
// passed over. ErrNoAnswer: nothing came.
func (c *Conn) ReadHead() (*Head, error) {
	for {
		h, err := ReadHead(c.in)
		switch {
		case err != nil && c.all == 0 && !errors.Is(err, ErrSlow):
			return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
		case err != nil:
			return nil, err
		case h.Status >= 200:
			return h, nil
		}
	}
}

// ReadHead reads one head from r.
func ReadHead(r *bufio.Reader) (*Head, error) {
	first, size, err := line(r, 0)
	if err != nil {
		return nil, err
	}
	proto, rest, _ := strings.Cut(first, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if !strings.HasPrefix(proto, "HTTP/1.") || err != nil || len(code) != 3 {
		return nil, fmt.Errorf("%w: %.40q", errHead, first)
	}
	h := &Head{Status: status}
	if h.Fields, err = ReadFields(r, size); err != nil {
		return nil, err
	}
	return h, nil
}

// ReadFields reads the lines up to the empty one; size is what of the bound on
// a head was used before.
func ReadFields(r *bufio.Reader, size int) (fields []Field, err error) {
	for {
		var text string
		if text, size, err = line(r, size); err != nil || text == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: %.40q", errHead, text)
		}
		fields = append(fields, Field{name, strings.Trim(value, " \t")})
	}
}

// line reads one line without its end.
func line(r *bufio.Reader, size int) (string, int, error) {
	var text []byte
	for {
		part, err := r.ReadSlice('\n')
		text = append(text, part...)
		if size += len(part); size > maxHead {
			return "", size, fmt.Errorf("%w: too long", errHead)
		}
		switch {
		case err == nil:
			return strings.TrimRight(string(text), "\r\n"), size, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(text) > 0:
			return "", size, io.ErrUnexpectedEOF
		default:
			return "", size, err
		}
	}
}
