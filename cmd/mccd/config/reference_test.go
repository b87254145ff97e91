package config

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// update says that generated files are to be written instead of compared
// (`make generate`).
func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write generated files instead of comparing")
	os.Exit(m.Run())
}

func TestGenerated(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	for name, write := range map[string]func(io.Writer) error{
		"docs/configuration.md": WriteReference, "deploy/mccd.yaml": WriteExample,
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, name)
		if update() {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != b.String() {
			t.Errorf("%s is not what the program says (%v); run make generate", name, err)
		}
	}
}

// example returns deploy/mccd.yaml, or the file with every key uncommented.
func example(t *testing.T, uncommented bool) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "mccd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !uncommented {
		return string(text)
	}
	return regexp.MustCompile(`(?m)^#(\S|  )`).ReplaceAllString(string(text), "$1")
}

func TestExampleGivesTheDefaults(t *testing.T) {
	if l := mustLoad(t, example(t, false), nil); !reflect.DeepEqual(l.Config, Default()) {
		t.Errorf("the example as it is gives %+v", l.Config)
	}
	l := mustLoad(t, example(t, true), nil)
	for _, k := range Keys() {
		if !l.Given(k.Path) {
			t.Errorf("the example does not show %s", k.Path)
		}
	}
	if len(l.Drives) != 2 || len(l.Origins) != 2 || l.Origins[1].Connect == "" {
		t.Errorf("the example's drives and origins: %+v, %+v", l.Drives, l.Origins)
	}
	want := Default()
	want.Drives, want.Origins = l.Drives, l.Origins
	for i := range reflect.TypeFor[Config]().NumField() { // lists are shown empty, not left out
		field, shown := reflect.ValueOf(want).Elem().Field(i), reflect.ValueOf(l.Config).Elem().Field(i)
		if _, ok := field.Interface().([]string); ok && shown.Len() == 0 {
			field.Set(shown)
		}
	}
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("the example's values are not the defaults:\n%+v\n%+v", l.Config, want)
	}
}

func TestReferenceNamesEveryKey(t *testing.T) {
	var b strings.Builder
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	for _, k := range append(Keys(), OriginKeys()...) {
		if !strings.Contains(b.String(), "### `"+k.Path+"`\n"+k.Doc) {
			t.Errorf("the reference lacks %s", k.Path)
		}
	}
	if n := strings.Count(b.String(), "Environment: `MCCD_"); n != len(Keys()) {
		t.Errorf("%d keys with a variable, want %d", n, len(Keys()))
	}
}

func TestReadmeExampleLoads(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```yaml\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed {
		t.Fatal("README.md shows no configuration")
	}
	if l := mustLoad(t, block, nil); len(l.Origins) == 0 {
		t.Error("README.md shows no origin")
	}
}
