package breaker

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/test/clients/wire"
)

// Exchange is one request and its answer, as a rule may change them.
type Exchange struct {
	// Method and Target are the request line's, Fields its head's.
	Method, Target string
	Fields         []wire.Field
	// Instead is a status to answer without asking the node; 0 = ask it.
	Instead int
	// ToOrigin has the origin asked in place of the node.
	ToOrigin bool
	// Answer is the node's, once there is one.
	Answer *wire.Head
	// Limit ends the body after so many bytes, -1 = does not; Cut closes the
	// connection there. Stall passes once after the first bytes. Chunked sends
	// chunks.
	Limit   int64
	Cut     bool
	Stall   time.Duration
	Chunked bool

	origin Origin
}

func readRequest(r *bufio.Reader) (*Exchange, error) {
	first, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	parts := strings.Fields(first)
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a request: %.40q", first)
	}
	x := &Exchange{Method: parts[0], Target: parts[1]}
	x.Fields, err = wire.ReadFields(r, len(first))
	return x, err
}

func (x *Exchange) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", x.Method, x.Target)
	for _, f := range x.Fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("\r\n")
	return b.String()
}

// path is the target's, without the query.
func (x *Exchange) path() string {
	path, _, _ := strings.Cut(x.Target, "?")
	return path
}

// ranges returns the values of the Range lines.
func (x *Exchange) ranges() (out []string) {
	for _, f := range x.Fields {
		if strings.EqualFold(f.Name, "Range") {
			out = append(out, f.Value)
		}
	}
	return out
}

// setRanges puts values in place of the Range lines.
func (x *Exchange) setRanges(values ...string) {
	x.Fields = slices.DeleteFunc(x.Fields, func(f wire.Field) bool { return strings.EqualFold(f.Name, "Range") })
	for _, v := range values {
		x.Fields = append(x.Fields, wire.Field{Name: "Range", Value: v})
	}
}

// span returns the last Range line's first and last byte.
func (x *Exchange) span() (from, to int64, ok bool) {
	lines := x.ranges()
	if len(lines) == 0 {
		return 0, 0, false
	}
	text, _ := strings.CutPrefix(lines[len(lines)-1], "bytes=")
	a, b, _ := strings.Cut(text, "-")
	from, errA := strconv.ParseInt(a, 10, 64)
	to, errB := strconv.ParseInt(b, 10, 64)
	return from, to, errA == nil && errB == nil
}

// set sets a field of the answer, in place of those of its name.
func (x *Exchange) set(name, value string) {
	x.unset(name)
	x.Answer.Fields = append(x.Answer.Fields, wire.Field{Name: name, Value: value})
}

// unset removes a field of the answer.
func (x *Exchange) unset(name string) {
	x.Answer.Fields = slices.DeleteFunc(x.Answer.Fields, func(f wire.Field) bool { return strings.EqualFold(f.Name, name) })
}

// length is the answer's Content-Length.
func (x *Exchange) length() int64 {
	text, _ := x.Answer.Fold("Content-Length")
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
