package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mccd/mccd/cmd/mccd/config"
)

// settingsFlags are the flags of a command that set configuration keys.
type settingsFlags struct {
	environ []string
	file    string
	set     []string
	keys    map[string]config.Key
	flags   *pflag.FlagSet
}

// addSettings gives cmd --config, --set and a flag for each key that has one,
// or only for the keys in only when it is not empty.
func addSettings(cmd *cobra.Command, environ []string, only ...string) *settingsFlags {
	s := &settingsFlags{environ: environ, keys: make(map[string]config.Key), flags: cmd.Flags()}
	s.flags.SortFlags = false
	s.flags.StringVarP(&s.file, "config", "c", "", "YAML `FILE` of the node's configuration (default "+config.DefaultFile+" where it exists)")
	for _, k := range config.Keys() {
		name := k.Flag()
		if name == "" || len(only) > 0 && !slices.Contains(only, k.Path) {
			continue
		}
		s.keys[name] = k
		usage, _, _ := strings.Cut(k.Doc, ". ")
		usage = strings.ReplaceAll(strings.TrimSuffix(usage, "."), "`", "")
		switch k.Kind {
		case "true or false":
			s.flags.Bool(name, k.Default == "true", usage)
		case "list":
			s.flags.StringSlice(name, nil, usage)
		case "drives":
			s.flags.StringSlice(name, nil, "`PATH=SIZE` of a directory that holds content, and its limit; may be repeated")
		default:
			s.flags.String(name, k.Default, usage)
		}
	}
	if len(only) == 0 {
		s.flags.StringArrayVar(&s.set, "set", nil, "any other key, as `KEY=VALUE`; may be repeated")
	}
	return s
}

// load merges file, environment and flags. Its errors carry exit codes.
func (s *settingsFlags) load() (*config.Loaded, error) {
	loaded, err := config.Load(config.Sources{File: s.configFile(), Environ: s.environ, Flags: s.settings()})
	if err != nil {
		return nil, badConfig(err)
	}
	if err := loaded.Locate(s.getenv); err != nil {
		return nil, badConfig(err)
	}
	loaded.Reload = s.load
	return loaded, nil
}

func badConfig(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return exit(exitUsage, errors.New("configuration:\n  "+strings.ReplaceAll(err.Error(), "\n", "\n  ")))
	}
	return exit(exitUsage, err)
}

// configFile returns the file to read, empty for none.
func (s *settingsFlags) configFile() string {
	if s.flags.Changed("config") {
		return s.file
	}
	if name := s.getenv(config.ConfigEnv); name != "" {
		return name
	}
	if _, err := os.Stat(config.DefaultFile); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return config.DefaultFile
}

func (s *settingsFlags) settings() []config.Setting {
	var settings []config.Setting
	for _, assignment := range s.set {
		key, value, _ := strings.Cut(assignment, "=")
		settings = append(settings, config.Setting{Source: "--set", Key: key, Values: []string{value}})
	}
	s.flags.Visit(func(f *pflag.Flag) {
		key, ok := s.keys[f.Name]
		if !ok {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		settings = append(settings, config.Setting{Source: "--" + f.Name, Key: key.Path, Values: values})
	})
	return settings
}

func (s *settingsFlags) getenv(name string) string {
	for _, entry := range slices.Backward(s.environ) {
		if key, value, _ := strings.Cut(entry, "="); key == name {
			return value
		}
	}
	return ""
}
