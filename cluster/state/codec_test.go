package state

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// fill gives every field below v a value of its own, so that one that the
// codec forgets is missed. Fields named in but are passed over.
func fill(v reflect.Value, n *int, but ...string) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, but...)
	case reflect.Struct:
		for i := range v.NumField() {
			if !slices.Contains(but, v.Type().Field(i).Name) {
				fill(v.Field(i), n, but...)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n, but...)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("value ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		if v.Type() == reflect.TypeFor[NodeState]() || v.Type() == reflect.TypeFor[RotationPhase]() {
			v.SetUint(uint64(1 + *n%2))
		} else {
			v.SetUint(uint64(*n % 256))
		}
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		panic("a kind of field that this test cannot fill: " + v.Kind().String())
	}
}

func full(but ...string) *State {
	var s State
	n := 0
	fill(reflect.ValueOf(&s).Elem(), &n, but...)
	return &s
}

// commands returns one of each kind, empty.
func commands() []Command {
	return []Command{
		Init{}, CreateToken{}, RevokeToken{}, Admit{}, Activate{}, Certify{}, SetNodeState{}, SetNode{}, Locate{}, PreCreate{}, RemoveNode{},
		SetConfig{}, SetVersion{}, SetTrust{}, SetKeyring{}, Reseal{}, Expel{}, SetTLSKey{}, Purge{}, AckPurges{}, SetPin{}, SetJob{},
	}
}

func TestStateSurvivesCodec(t *testing.T) {
	for _, s := range []*State{full(), {}} {
		got, err := Unmarshal(Marshal(s))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("got  %+v\nwant %+v", got, s)
		}
	}
}

func TestCommandSurvivesCodec(t *testing.T) {
	for _, empty := range commands() {
		filled := reflect.New(reflect.TypeOf(empty))
		n := 0
		fill(filled.Elem(), &n)
		for _, c := range []Command{empty, filled.Elem().Interface().(Command)} {
			raw, err := Encode(c, 77)
			if err != nil {
				t.Fatalf("%T: %v", c, err)
			}
			got, now, err := Decode(raw)
			if err != nil || now != 77 || !reflect.DeepEqual(got, c) {
				t.Errorf("%T: got %+v at %d, %v\nwant %+v", c, got, now, err, c)
			}
		}
	}
}

func TestNewerIsRefused(t *testing.T) {
	newer := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), Format+1)
	field := func(b []byte, n protowire.Number) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), []byte("x"))
	}
	activate, _ := Encode(Activate{ID: "a"}, 1)
	// An Activate with a field more than this release knows.
	inner := field(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a"), 9)
	deep := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	deep = protowire.AppendBytes(protowire.AppendTag(deep, 14, protowire.BytesType), inner)
	phase := keyringTo(Keyring{Phase: 9})
	for name, raw := range map[string][]byte{
		"format": newer, "kind": field(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1), 999),
		"field beside": field(activate, 900), "field inside": deep,
	} {
		s := full()
		if _, _, err := Decode(raw); !errors.Is(err, ErrVersion) {
			t.Errorf("Decode of a newer %s: %v", name, err)
		}
		if next, r := Apply(s, raw, 9); next != s || !errors.Is(r.Err, ErrVersion) {
			t.Errorf("Apply of a newer %s: %v", name, r.Err)
		}
	}
	if err := known(phase.ProtoReflect()); !errors.Is(err, ErrVersion) {
		t.Errorf("a newer value of an enumeration: %v", err)
	}
	for name, raw := range map[string][]byte{"format": newer, "field": field(Marshal(full()), 900)} {
		if _, err := Unmarshal(raw); !errors.Is(err, ErrVersion) {
			t.Errorf("Unmarshal of a newer %s: %v", name, err)
		}
	}
	for _, raw := range [][]byte{nil, []byte("\xff\xff"), {}} {
		if _, err := Unmarshal(raw); !errors.Is(err, ErrInvalid) {
			t.Errorf("Unmarshal(%q): %v", raw, err)
		}
		if _, _, err := Decode(raw); !errors.Is(err, ErrInvalid) {
			t.Errorf("Decode(%q): %v", raw, err)
		}
	}
}

func TestCodesSurviveCalls(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range codes() {
		if seen[c.name] || c.name == CodeOther {
			t.Errorf("code %q twice", c.name)
		}
		seen[c.name] = true
		err := fmt.Errorf("node x: %w", c.err)
		got := FromCode(Code(err), err.Error())
		if !errors.Is(got, c.err) || got.Error() != err.Error() {
			t.Errorf("%s: got %v", c.name, got)
		}
		if got := FromCode(c.name, ""); !errors.Is(got, c.err) || got.Error() == "" {
			t.Errorf("%s without a text: got %v", c.name, got)
		}
	}
	if Code(nil) != "" || FromCode("", "x") != nil {
		t.Error("no error has a code")
	}
	if got := FromCode(Code(errors.New("boom")), "boom"); got == nil || got.Error() != "boom" {
		t.Errorf("another error: %v", got)
	}
	if got := FromCode("from_tomorrow", ""); got == nil || got.Error() == "" {
		t.Errorf("an unknown code: %v", got)
	}
}
