package admin

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func (f *fake) Explain(_ context.Context, url, rng string) (*Explanation, error) {
	if url == "bad" {
		return nil, errors.New("this is no URL")
	}
	return anExplanation(url, rng), nil
}

// anExplanation has every field set, or as a refusal leaves it.
func anExplanation(url, rng string) *Explanation {
	if url == "refused" {
		return &Explanation{Node: "n", URL: NamedURL{Host: "h", Form: "host"}, Refused: &Refused{Status: 403, Text: rng, Nearest: []string{"*.h"}}}
	}
	v := reflect.New(reflect.TypeFor[Explanation]())
	n := 0
	fillIn(v.Elem(), &n)
	e := v.Interface().(*Explanation) //nolint:forcetypeassert // made above
	e.Refused = nil
	m := e.Purge.Hit
	m.Created, m.Done, m.Waiting, m.Away = time.Time{}, nil, nil, nil // mccd purge list tells
	return e
}

// fillIn gives every field a value of its own.
func fillIn(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fillIn(f, n)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fillIn(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
	}
}

func TestExplanationSurvivesTheCall(t *testing.T) {
	c := serve(t, &fake{})
	for _, url := range []string{"all", "refused"} {
		got, err := c.Explain(t.Context(), url, "why")
		if want := anExplanation(url, "why"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", url, err, got, want)
		}
	}
	if _, err := c.Explain(t.Context(), "bad", ""); err == nil || err.Error() != "explain: this is no URL" {
		t.Errorf("got %v", err)
	}
}
