package gateway

import (
	"fmt"
	"math"
	"math/big"
	"net/http"
	"regexp"
	"strings"
)

// difference is one from http.ServeContent that is meant. DESIGN.md lists them.
type difference struct {
	name string
	// translate makes of a request one that ServeContent understands as we do
	// the first, and reports whether it changed anything. It goes by the texts
	// of RFC 9110 and not by what our own reader finds.
	translate func(c *contentCase) bool
	// example is a request of which the two answers differ.
	example struct {
		size       int64
		shape      byte
		conditions [4]string // Range, If-Range, If-Match, If-None-Match
	}
}

type example = struct {
	size       int64
	shape      byte
	conditions [4]string
}

var (
	// rangeUnit and readableRange are the grammar of RFC 9110 section 14.1.2,
	// with space around the unit.
	rangeUnit     = regexp.MustCompile(`^[ \t]*(?i:bytes)[ \t]*=`)
	readableRange = regexp.MustCompile(`^(?:(\d+)-(\d*)|-(\d+))$`)
	tagAndMore    = regexp.MustCompile(`^(?:W/)?"[^"]*".`)
)

// differences returns them in the order in which they are applied.
func differences() []difference {
	return []difference{
		{"HEAD has no ranges", headWithoutRange, example{10, 8, [4]string{"bytes=0-1"}}},
		{"the last Range line counts", lastLine, example{10, 0, [4]string{"bytes=0-1\nbytes=2-3"}}},
		{"lines of tags are one list", joinedTags, example{10, 0, [4]string{"", "", "\"v2\"\n\"v1\""}}},
		{"If-Range holds one tag and nothing else", oneTag, example{10, 0, [4]string{"bytes=0-1", `"v1", "v2"`}}},
		{"the unit in any case, with space around", plainUnit, example{10, 0, [4]string{"Bytes = 0-1"}}},
		{"over 16 ranges, or overlapping ones", tooMany, example{10, 0, [4]string{"bytes=0-5,5-6"}}},
		{"what is no range is ignored", unreadable, example{10, 0, [4]string{"bytes=+1-2"}}},
		{"an empty object has no ranges", emptyObject, example{0, 0, [4]string{"bytes=-1"}}},
		{"the last 0 bytes are none", lastNone, example{10, 0, [4]string{"bytes=-0"}}},
		{"numbers over 2^63 are numbers", large, example{10, 0, [4]string{"bytes=5-99999999999999999999"}}},
	}
}

func setRange(c *contentCase, value string) bool {
	if lines := c.lines["Range"]; len(lines) == 1 && lines[0] == value {
		return false
	}
	if c.lines["Range"] = []string{value}; value == "" {
		delete(c.lines, "Range")
	}
	return true
}

func headWithoutRange(c *contentCase) bool {
	return c.method == http.MethodHead && len(c.lines["Range"]) > 0 && setRange(c, "")
}

func lastLine(c *contentCase) bool {
	lines := c.lines["Range"]
	return len(lines) > 1 && setRange(c, lines[len(lines)-1])
}

func joinedTags(c *contentCase) bool {
	changed := false
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if lines := c.lines[name]; len(lines) > 1 {
			c.lines[name] = []string{strings.Join(lines, ", ")}
			changed = true
		}
	}
	return changed
}

func oneTag(c *contentCase) bool {
	return tagAndMore.MatchString(c.lines.Get("If-Range")) && setRange(c, "")
}

func plainUnit(c *contentCase) bool {
	value := c.lines.Get("Range")
	unit := rangeUnit.FindString(value)
	return unit != "" && setRange(c, "bytes="+value[len(unit):])
}

// elements returns the ranges of a value as [first, last] in bytes of the
// object, -1 for what is not there, and whether all the first limit of them
// can be read. What no object reaches is math.MaxInt64.
func elements(value string, limit int) (all [][2]int64, ok bool) {
	set, ok := strings.CutPrefix(value, "bytes=")
	if !ok {
		return nil, false
	}
	number := func(s string) int64 {
		n, _ := new(big.Int).SetString("0"+s, 10)
		if !n.IsInt64() {
			return math.MaxInt64
		}
		return n.Int64()
	}
	for element := range strings.SplitSeq(set, ",") {
		if element = strings.Trim(element, " \t"); element == "" {
			continue
		}
		m := readableRange.FindStringSubmatch(element)
		if m == nil {
			return all, false
		}
		first, last := int64(-1), int64(-1)
		if m[1] != "" {
			first = number(m[1])
		}
		if tail := m[2] + m[3]; tail != "" {
			last = number(tail)
			a, _ := new(big.Int).SetString("0"+m[1], 10)
			if b, _ := new(big.Int).SetString(tail, 10); m[1] != "" && a.Cmp(b) > 0 {
				return all, false
			}
		}
		if all = append(all, [2]int64{first, last}); len(all) == limit {
			break
		}
	}
	return all, len(all) > 0
}

// tooMany makes the Range one that ServeContent answers 416 whatever the size.
func tooMany(c *contentCase) bool {
	all, ok := elements(c.lines.Get("Range"), maxRanges+1)
	if !ok {
		return false
	}
	if len(all) <= maxRanges && !anyOverlap(all, math.MaxInt64) && !anyOverlap(all, c.size) {
		return false
	}
	if c.size == 0 && conditional(c.lines) {
		return false // only what has no condition is refused before the size is known
	}
	return setRange(c, "bytes=x")
}

func anyOverlap(all [][2]int64, size int64) bool {
	var spans [][2]int64
	suffixes := 0
	for _, e := range all {
		first, last := e[0], e[1]
		switch {
		case first < 0 && size == math.MaxInt64:
			if last > 0 {
				suffixes++ // any two share the last byte
			}
			continue
		case first < 0:
			first, last = max(0, size-last), size-1
		case last < 0 || last >= size:
			last = size - 1
		}
		if first <= last && first < math.MaxInt64 {
			for _, s := range spans {
				if s[0] <= last && first <= s[1] {
					return true
				}
			}
			spans = append(spans, [2]int64{first, last})
		}
	}
	return suffixes > 1
}

func unreadable(c *contentCase) bool {
	value := c.lines.Get("Range")
	if value == "" || value == "bytes=x" {
		return false
	}
	_, ok := elements(value, math.MaxInt)
	return !ok && setRange(c, "")
}

func emptyObject(c *contentCase) bool {
	value := c.lines.Get("Range")
	return c.size == 0 && value != "" && value != "bytes=x" && setRange(c, "")
}

// rewrite puts each range of the Range into other words.
func rewrite(c *contentCase, to func(first, last int64) string) bool {
	all, ok := elements(c.lines.Get("Range"), math.MaxInt)
	if !ok {
		return false
	}
	words := make([]string, len(all))
	for i, e := range all {
		words[i] = to(e[0], e[1])
	}
	return setRange(c, "bytes="+strings.Join(words, ","))
}

func lastNone(c *contentCase) bool {
	return regexp.MustCompile(`[=, \t]-0+([, \t]|$)`).MatchString(c.lines.Get("Range")) && rewrite(c, func(first, last int64) string {
		if first < 0 && last == 0 {
			return fmt.Sprintf("%d-", c.size)
		}
		return word(first, last)
	})
}

func large(c *contentCase) bool {
	return regexp.MustCompile(`\d{19}`).MatchString(c.lines.Get("Range")) && rewrite(c, word)
}

func word(first, last int64) string {
	switch {
	case first < 0:
		return fmt.Sprintf("-%d", last)
	case last < 0:
		return fmt.Sprintf("%d-", first)
	default:
		return fmt.Sprintf("%d-%d", first, last)
	}
}
