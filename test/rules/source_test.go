package rules_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mccd/mccd/"

// goFile is one parsed file of Go.
type goFile struct {
	// path is relative to the repository, with slashes.
	path      string
	pkg       string
	imports   []string
	lines     int
	test      bool
	generated bool
	comment   bool
}

// dir is the file's folder.
func (f goFile) dir() string { return path.Dir(f.path) }

// repository returns the file system of the checkout that holds this test.
func repository(t *testing.T) fs.FS {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return os.DirFS(dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}

// walk calls visit for each file that belongs to the repository.
func walk(t *testing.T, tree fs.FS, visit func(name string, text []byte)) {
	t.Helper()
	skip := []string{".git", "bin", "out", "node_modules"}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skip, name) || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		visit(name, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// goFiles parses every file of Go, whatever system it is built for.
func goFiles(t *testing.T, tree fs.FS) []goFile {
	t.Helper()
	var files []goFile
	walk(t, tree, func(name string, text []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		f := goFile{
			path: name, pkg: parsed.Name.Name, lines: bytes.Count(text, []byte("\n")),
			test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(parsed),
			comment: parsed.Doc != nil,
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
	})
	return files
}
