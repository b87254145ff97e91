package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

const envPrefix = "MCCD_"

// Setting is one key given outside the file.
type Setting struct {
	// Source names the flag or variable, for faults.
	Source string
	// Key is the key's full path, such as "log.level".
	Key string
	// Values are the texts given: one for a single value, any number for a
	// list, whose texts may themselves hold several, split at commas.
	Values []string
}

// setting applies s. A list replaces what was given before it. A list of
// drives is written PATH=SIZE, a list of origins as YAML.
func (d *decoder) setting(root reflect.Value, s Setting) {
	v := root
	for part := range strings.SplitSeq(s.Key, ".") {
		field, ok := reflect.Value{}, false
		if v.Kind() == reflect.Struct {
			field, ok = fieldByKey(v, part)
		}
		if !ok {
			d.unknownSetting(s)
			return
		}
		v = field
	}
	d.where[s.Key] = Where{Name: s.Source}
	switch p := v.Addr().Interface().(type) {
	case *[]string:
		*p = splitList(s.Values)
	case *[]Drive:
		d.drives(p, s)
	default:
		if len(s.Values) == 0 {
			return
		}
		last := s.Values[len(s.Values)-1]
		switch v.Kind() {
		case reflect.Struct, reflect.Slice:
			d.text(v, s.Key, last)
		default:
			if err := setScalar(v, last); err != nil {
				d.fault(nil, s.Key, "%v", err)
			}
		}
	}
}

func (d *decoder) unknownSetting(s Setting) {
	names := make([]string, 0)
	for _, k := range Keys() {
		names = append(names, k.Path)
	}
	if near := nearest(s.Key, names); near != "" {
		d.fault(nil, s.Key, "is not a key; did you mean %q?", near)
		return
	}
	d.fault(nil, s.Key, "is not a key; docs/configuration.md lists them")
}

func (d *decoder) drives(into *[]Drive, s Setting) {
	drives, before := make([]Drive, 0), len(*d.faults)
	for _, item := range splitList(s.Values) {
		path, size, ok := strings.Cut(item, "=")
		if !ok {
			d.fault(nil, s.Key, "%q has no size; write PATH=SIZE, such as /srv/cache=100GiB", item)
			continue
		}
		bytes, err := ParseSize(size)
		if err != nil {
			d.fault(nil, s.Key, "%v", err)
			continue
		}
		drives = append(drives, Drive{path, bytes})
	}
	if len(*d.faults) == before {
		*into = drives
	}
}

func (d *decoder) text(v reflect.Value, key, text string) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) != 1 {
		d.fault(nil, key, "is not YAML, such as [{name: mirror, hosts: [mirror.example]}]")
		return
	}
	d.node(v, doc.Content[0], key)
}

func splitList(values []string) []string {
	list := make([]string, 0)
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	}
	return list
}

// environment turns the MCCD_ variables of environ ("NAME=value") into
// settings. A variable that is no key is a warning only when it is near one:
// orchestrators put names such as MCCD_SERVICE_HOST into every container.
func environment(environ []string) (settings []Setting, warnings []string) {
	byName, names := make(map[string]string), make([]string, 0)
	for _, k := range Keys() {
		byName[k.Env()] = k.Path
		names = append(names, k.Env())
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || name == ConfigEnv || name == TokenEnv || name == PassphraseEnv {
			continue
		}
		if path, ok := byName[name]; ok {
			settings = append(settings, Setting{name, path, []string{value}})
			continue
		}
		if near := nearest(name, names); near != "" && editDistance(name, near) <= (len(name)-len(envPrefix))/4 {
			warnings = append(warnings, name+" is not a setting and is ignored; did you mean "+near+"?")
		}
	}
	return settings, warnings
}
