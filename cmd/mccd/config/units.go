package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written with its unit: 64KiB, 1.5GiB, 100GB.
type Size int64

// Duration is a time, written with its unit: 300ms, 30s, 1h30m.
type Duration time.Duration

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits lists the units, the largest first.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"PiB", 1 << 50}, {"PB", 1e15}, {"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9},
		{"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3}, {"B", 1},
	}
}

// ParseSize reads a number with a unit; the unit's case does not matter. Only
// 0 may stand without one.
func ParseSize(text string) (Size, error) {
	s := strings.TrimSpace(text)
	if s == "0" {
		return 0, nil
	}
	end := strings.LastIndexAny(s, "0123456789.") + 1
	number, unit := s[:end], strings.TrimSpace(s[end:])
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value < 0 || strings.ContainsAny(number, "eExXpP_+-") {
		return 0, fmt.Errorf("%q is not a size; write a number and a unit, such as 64MiB or 100GiB", text)
	}
	if unit == "" {
		return 0, fmt.Errorf("%q has no unit; write %sMiB or %sGiB", text, number, number)
	}
	for _, u := range sizeUnits() {
		if !strings.EqualFold(u.name, unit) {
			continue
		}
		bytes := value * float64(u.bytes)
		if bytes >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is too large", text)
		}
		return Size(bytes), nil
	}
	return 0, fmt.Errorf("%q has an unknown unit %q; use KiB, MiB, GiB or TiB", text, unit)
}

// String writes s with the largest unit that divides it.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits() {
		if int64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// ParseDuration reads a time with its unit. Only 0 may stand without one.
func ParseDuration(text string) (Duration, error) {
	s := strings.TrimSpace(text)
	d, err := time.ParseDuration(s)
	if err == nil {
		return Duration(d), nil
	}
	if _, numErr := strconv.ParseFloat(s, 64); numErr == nil {
		return 0, fmt.Errorf("%q has no unit; write %ss or %sms", text, s, s)
	}
	return 0, fmt.Errorf("%q is not a time; write a number and a unit, such as 300ms, 30s or 1h30m", text)
}

// String writes d without the zero parts at its end.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if d == 0 {
		return "0"
	}
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
