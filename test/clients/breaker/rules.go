package breaker

import (
	"fmt"
	"net/http"
	"strings"
)

// Rule says how one rule of the contract is broken.
type Rule struct {
	// Name says what is done, Section where docs/clients.md forbids it.
	Name, Section string
	// Request changes a request before it goes on; nil changes none. Answer
	// changes an answer.
	Request, Answer func(*Exchange)
	// Stalls tells that it takes Origin.Stall of time per answer.
	Stalls bool
}

// Honest breaks nothing.
func Honest() Rule { return Rule{Name: "nothing broken", Section: "-"} }

// Rules returns all of them.
func Rules() []Rule {
	return []Rule{
		{Name: "the first Range line taken, not the last", Section: "2, 8", Request: func(x *Exchange) {
			if lines := x.ranges(); len(lines) > 1 {
				x.setRanges(lines[0])
			}
		}},
		{Name: "200 to a Range", Section: "4", Request: func(x *Exchange) { x.setRanges() }},
		{Name: "names of fields in lower case", Section: "4", Answer: func(x *Exchange) {
			for i := range x.Answer.Fields {
				x.Answer.Fields[i].Name = strings.ToLower(x.Answer.Fields[i].Name)
			}
		}},
		{Name: "chunked, without a length", Section: "4", Answer: func(x *Exchange) {
			if x.Answer.Status == http.StatusOK {
				x.unset("Content-Length")
				x.set("Transfer-Encoding", "chunked")
				x.Chunked = true
			}
		}},
		{Name: "416 for a range past the end", Section: "4, 5", Request: func(x *Exchange) {
			if _, to, ok := x.span(); ok && to >= x.origin.Size(x.path()) && x.origin.Size(x.path()) > 0 {
				x.Instead = http.StatusRequestedRangeNotSatisfiable
			}
		}},
		{Name: "412 for a resume of a changed object", Section: "4, 5", Request: func(x *Exchange) {
			if from, _, ok := x.span(); ok && from > 0 && x.origin.Changed(x.path()) {
				x.Instead = http.StatusPreconditionFailed
			}
		}},
		{Name: "a resume out of another version", Section: "4, 8", Request: func(x *Exchange) {
			if from, _, ok := x.span(); ok && from > 0 && x.origin.Changed(x.path()) {
				x.ToOrigin = true
			}
		}},
		{Name: "204 while there is nothing yet", Section: "4", Request: func(x *Exchange) {
			if len(x.ranges()) == 0 {
				x.Instead = http.StatusNoContent
			}
		}},
		{Name: "202 while the object is fetched", Section: "4", Answer: func(x *Exchange) {
			if x.Answer.Status == http.StatusOK {
				x.Answer.Status = http.StatusAccepted
			}
		}},
		{Name: "a short 206 to a plain GET", Section: "4", Answer: func(x *Exchange) {
			if n := x.length(); x.Answer.Status == http.StatusOK && n > 1 && len(x.ranges()) == 0 {
				x.Answer.Status = http.StatusPartialContent
				x.set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", n/2-1, n))
				x.set("Content-Length", fmt.Sprint(n/2))
				x.Limit, x.Cut = n/2, true
			}
		}},
		{Name: "the last byte of a range left out", Section: "3, 4", Request: func(x *Exchange) {
			if from, to, ok := x.span(); ok && to > from {
				x.setRanges(fmt.Sprintf("bytes=%d-%d", from, to-1))
			}
		}},
		{Name: "404 for trouble", Section: "5", Answer: func(x *Exchange) {
			if x.Answer.Status >= http.StatusInternalServerError {
				x.Answer.Status = http.StatusNotFound
			}
		}},
		{Name: "429 for overload", Section: "5", Answer: func(x *Exchange) {
			if x.Answer.Status >= http.StatusInternalServerError {
				x.Answer.Status = http.StatusTooManyRequests
			}
		}},
		{Name: "a stall as long as clients wait", Section: "5", Stalls: true, Answer: func(x *Exchange) {
			x.Stall = x.origin.Stall
		}},
		{Name: "a body cut in the middle", Section: "4, 5", Answer: func(x *Exchange) {
			if n := x.length(); n > 1 && x.Answer.Status < http.StatusMultipleChoices {
				x.Limit, x.Cut = n/2, true
			}
		}},
	}
}
