package httpcache

import (
	"testing"
	"time"
)

func TestParseCacheControl(t *testing.T) {
	none := Directives{MaxAge: -1, SMaxAge: -1}
	with := func(change func(*Directives)) Directives {
		d := none
		change(&d)
		return d
	}
	tests := []struct {
		name  string
		lines []string
		want  Directives
	}{
		{"nothing", nil, none},
		{"empty members (RFC 9110 5.6.1)", []string{"", " , ,, "}, none},
		{"names in any case (RFC 9111 5.2)", []string{"NO-Store, Max-AGE=5"}, with(func(d *Directives) { d.NoStore, d.MaxAge = true, 5*time.Second })},
		{"several lines", []string{"private", "s-maxage=7"}, with(func(d *Directives) { d.Private, d.SMaxAge = true, 7*time.Second })},
		{"quoted argument (RFC 9111 5.2)", []string{`max-age="60"`}, with(func(d *Directives) { d.MaxAge = time.Minute })},
		{"quoted comma does not begin a directive", []string{`x="a, no-store, b", public`}, with(func(d *Directives) { d.Public = true })},
		{"escaped quote", []string{`x="\", no-store", public`}, with(func(d *Directives) { d.Public = true })},
		{"unterminated quote", []string{`x="a, no-store`}, none},
		{"qualified no-cache counts whole (5.2.2.4)", []string{`no-cache="Set-Cookie, X"`}, with(func(d *Directives) { d.NoCache = true })},
		{"qualified private counts whole (5.2.2.7)", []string{`private="X"`}, with(func(d *Directives) { d.Private = true })},
		{"proxy-revalidate (5.2.2.8)", []string{"proxy-revalidate"}, with(func(d *Directives) { d.MustRevalidate = true })},
		{"same value twice", []string{"max-age=5", "max-age=5"}, with(func(d *Directives) { d.MaxAge = 5 * time.Second })},
		{"different values are stale (4.2.1)", []string{"max-age=5, max-age=50"}, with(func(d *Directives) { d.MaxAge = 0 })},
		{"different values, largest first", []string{"max-age=50, max-age=5"}, with(func(d *Directives) { d.MaxAge = 0 })},
		{"not a number is stale (4.2.1)", []string{"max-age=abc"}, with(func(d *Directives) { d.MaxAge = 0 })},
		{"negative is stale", []string{"max-age=-5"}, with(func(d *Directives) { d.MaxAge = 0 })},
		{"fraction is stale", []string{"max-age=1.5"}, with(func(d *Directives) { d.MaxAge = 0 })},
		{"no argument is stale", []string{"max-age"}, with(func(d *Directives) { d.MaxAge = 0 })},
		{"overflow is the largest (1.2.2)", []string{"max-age=99999999999999999999999"}, with(func(d *Directives) { d.MaxAge = maxDelta * time.Second })},
		{"spaces around =", []string{"max-age = 5 , public"}, with(func(d *Directives) { d.MaxAge, d.Public = 5*time.Second, true })},
		{"unknown ones are ignored (5.2.3)", []string{"immutable, stale-while-revalidate=9, no-storex"}, none},
	}
	for _, tt := range tests {
		if got := ParseCacheControl(tt.lines); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func FuzzParseCacheControl(f *testing.F) {
	f.Add(`no-store, max-age="5", x="a\"b`, "s-maxage=1")
	f.Fuzz(func(t *testing.T, a, b string) {
		d := ParseCacheControl([]string{a, b})
		if d.MaxAge < -1 || d.MaxAge > maxDelta*time.Second || d.SMaxAge < -1 || d.SMaxAge > maxDelta*time.Second {
			t.Errorf("lifetimes out of bounds: %+v", d)
		}
		// What forbids stays, whatever follows on another line.
		if with := ParseCacheControl([]string{a, b, "no-store, private, no-cache"}); !with.NoStore || !with.Private || !with.NoCache {
			t.Errorf("a line hides another: %+v", with)
		}
	})
}
