package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// DefaultFile is read when it exists and no other file is named.
	DefaultFile = "/etc/mccd/mccd.yaml"
	// ConfigEnv is the environment variable that names the file.
	ConfigEnv = "MCCD_CONFIG"
	// TokenEnv is the environment variable that may hold a token to join.
	TokenEnv = "MCCD_TOKEN"
	// PassphraseEnv is the one that may hold a backup's passphrase.
	PassphraseEnv = "MCCD_PASSPHRASE"
	// maxFile bounds a configuration file in bytes.
	maxFile = 1 << 20
)

// Sources are where values come from, each over the one before: the file, the
// environment, flags.
type Sources struct {
	// File is the path of the YAML file; empty = none.
	File string
	// Environ holds "NAME=value" as os.Environ returns it.
	Environ []string
	// Flags are what the command line gave.
	Flags []Setting
}

// Loaded is a configuration without faults.
type Loaded struct {
	*Config
	// Token is what TokenEnv holds; empty = nothing.
	Token string
	// Warnings are for the log: nothing of the configuration is wrong.
	Warnings []string
	// Reload loads the same sources again; nil = it cannot be done.
	Reload func() (*Loaded, error)
	where  map[string]Where
}

// Given reports whether key was given at all, be it as its default's value.
func (l *Loaded) Given(key string) bool {
	_, ok := l.where[key]
	return ok
}

// Fault returns a fault of key, at the place where it was given.
func (l *Loaded) Fault(key, text string) Fault { return Fault{l.where[key], key, text} }

// Load reads, merges and validates. Its error is Faults, all at once, or the
// error of reading the file.
func Load(s Sources) (*Loaded, error) {
	var text []byte
	if s.File != "" {
		var err error
		if text, err = readFile(s.File); err != nil {
			return nil, err
		}
	}
	return parse(text, s)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open configuration: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, Faults{{Where: Where{Name: name}, Text: "is larger than 1MiB"}}
	}
	return text, nil
}

func parse(text []byte, s Sources) (*Loaded, error) {
	cfg, faults, where := Default(), Faults{}, make(map[string]Where)
	file := &decoder{s.File, true, where, &faults}
	root := reflect.ValueOf(cfg).Elem()
	file.document(root, text)
	settings, warnings := environment(s.Environ)
	for _, setting := range append(settings, s.Flags...) {
		d := &decoder{setting.Source, false, where, &faults}
		d.setting(root, setting)
	}
	if len(faults) == 0 || !syntaxFault(faults) {
		v := &validator{cfg, where, &faults}
		v.all()
	}
	if len(faults) > 0 {
		return nil, faults.sorted()
	}
	l := &Loaded{Config: cfg, Warnings: warnings, where: where}
	for _, entry := range s.Environ {
		if name, value, _ := strings.Cut(entry, "="); name == TokenEnv {
			l.Token = strings.TrimSpace(value)
		}
	}
	return l, nil
}

// syntaxFault reports whether the file could not be read as YAML, so that what
// it meant to give is unknown and cannot be judged.
func syntaxFault(faults Faults) bool {
	return faults[0].Key == "" && faults[0].Where.Line > 0
}

func (d *decoder) document(root reflect.Value, text []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		err = dec.Decode(&second)
		if err == nil {
			d.fault(&second, "", "a second document begins here; the configuration is one document")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		line, text := yamlError(err)
		d.fault(&yaml.Node{Line: line}, "", "is not YAML: %s", text)
		return
	}
	if len(doc.Content) == 1 {
		d.node(root, doc.Content[0], "")
	}
}

// yamlError takes "yaml: line 3: text" apart; line 1 where it names none.
func yamlError(err error) (line int, text string) {
	m := regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`).FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	if n, convErr := strconv.Atoi(m[1]); convErr == nil {
		return n, m[2]
	}
	return 1, m[2]
}
