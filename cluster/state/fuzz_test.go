package state

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzApply: no command makes Apply panic, differ from itself, or leave a
// State that does not survive a file.
func FuzzApply(f *testing.F) {
	for _, c := range append(commands(), initial(), Admit{TokenHash: hash(1), Node: node(2)}, Purge{PurgeMark{ID: "0123456789abcdef", Path: "/"}}, RemoveNode{ID: id(1)}) {
		raw, err := Encode(c, 1_000_100)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	raw, err := Encode(initial(), 1_000_000)
	if err != nil {
		f.Fatal(err)
	}
	cluster, _ := Apply(&State{}, raw, 1)
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, s := range []*State{{}, cluster} {
			before := Marshal(s)
			next, r := Apply(s, raw, 2)
			again, ragain := Apply(s, raw, 2)
			if !reflect.DeepEqual(next, again) || Code(r.Err) != Code(ragain.Err) {
				t.Fatal("two answers")
			}
			if string(Marshal(s)) != string(before) {
				t.Fatal("the State was modified")
			}
			if r.Err != nil && next != s {
				t.Fatal("a refused command changed the State")
			}
			if back, err := Unmarshal(Marshal(next)); err != nil || !reflect.DeepEqual(back, next) {
				t.Fatalf("the State does not survive a file: %v", err)
			}
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(Marshal(&State{}))
	f.Add(Marshal(full()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Unmarshal(raw)
		if err != nil {
			return
		}
		if back, err := Unmarshal(Marshal(s)); err != nil || !reflect.DeepEqual(back, s) {
			t.Fatalf("read once, not twice: %v", err)
		}
	})
}

// update is the flag by which `make generate` renews what this release writes;
// what an older one wrote is never renewed.
var update = flag.Bool("update", false, "write the golden file of the present format")

// TestFormat1Opens reads a State and a command as the first format wrote them.
func TestFormat1Opens(t *testing.T) {
	// What the first release of the format knew.
	state, command := full("RecoveryID", "Product"), initial()
	command.Trust = Trust{CAs: [][]byte{[]byte("first")}, SealedKey: []byte("k")}
	command.Gossip.Sealed, command.SealingKeyID = []byte("g"), "s1"
	file := filepath.Join("testdata", "format1.hex")
	if *update && Format == 1 {
		raw, err := Encode(command, 7)
		if err != nil {
			t.Fatal(err)
		}
		text := hex.EncodeToString(Marshal(state)) + "\n" + hex.EncodeToString(raw) + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(b))
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var raw [2][]byte
	for i := range raw {
		if raw[i], err = hex.DecodeString(lines[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Unmarshal(raw[0]); err != nil || !reflect.DeepEqual(got, state) {
		t.Errorf("the State of format 1 reads as %+v, %v", got, err)
	}
	if got, now, err := Decode(raw[1]); err != nil || now != 7 || !reflect.DeepEqual(got, Command(command)) {
		t.Errorf("the command of format 1 reads as %+v at %d, %v", got, now, err)
	}
}
