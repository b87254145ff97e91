package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder writes given values into a Config and remembers where each came
// from, so that a fault found later still names its line.
type decoder struct {
	source string
	// lines says whether source is a file, so that node lines mean something.
	lines  bool
	where  map[string]Where
	faults *Faults
}

func (d *decoder) at(n *yaml.Node) Where {
	if d.lines && n != nil {
		return Where{d.source, n.Line}
	}
	return Where{Name: d.source}
}

func (d *decoder) fault(n *yaml.Node, key, format string, args ...any) {
	*d.faults = append(*d.faults, Fault{d.at(n), key, fmt.Sprintf(format, args...)})
}

// node decodes n into v, which stands at path.
func (d *decoder) node(v reflect.Value, n *yaml.Node, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // a key with nothing behind it keeps its default
	}
	if path != "" {
		d.where[path] = d.at(n)
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(v, n, path)
	case reflect.Slice:
		d.sequence(v, n, path)
	default:
		if n.Kind != yaml.ScalarNode {
			d.fault(n, path, "is one value, not %s", kindName(n))
			return
		}
		if err := setScalar(v, n.Value); err != nil {
			d.fault(n, path, "%v", err)
		}
	}
}

func (d *decoder) mapping(v reflect.Value, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "holds keys (%s), not %s", strings.Join(fieldNames(v.Type()), ", "), kindName(n))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := join(path, key.Value)
		field, ok := fieldByKey(v, key.Value)
		if !ok {
			d.unknown(key, full, v.Type())
			continue
		}
		if line, dup := seen[key.Value]; dup {
			d.fault(key, full, "is given twice; the first is in line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		d.node(field, value, full)
	}
}

func (d *decoder) unknown(key *yaml.Node, full string, t reflect.Type) {
	names := fieldNames(t)
	if near := nearest(key.Value, names); near != "" {
		d.fault(key, full, "is not a key; did you mean %q?", near)
		return
	}
	d.fault(key, full, "is not a key; the keys here are %s", strings.Join(names, ", "))
}

func (d *decoder) sequence(v reflect.Value, n *yaml.Node, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "is a list, not %s; write it as [a, b] or with a dash before each", kindName(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if o, ok := list.Index(i).Addr().Interface().(*Origin); ok {
			*o = defaultOrigin()
		}
		d.node(list.Index(i), item, fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

// setScalar reads text into v by v's type.
func setScalar(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case *Size:
		size, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = size
		return nil
	case *Duration:
		duration, err := ParseDuration(text)
		if err != nil {
			return err
		}
		*p = duration
		return nil
	case *string:
		*p = text
		return nil
	case *bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		*p = b
		return nil
	case *int:
		i, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = i
		return nil
	default:
		return fmt.Errorf("cannot be set to %q", text)
	}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a set of keys"
	case yaml.SequenceNode:
		return "a list"
	default:
		return fmt.Sprintf("the single value %q", n.Value)
	}
}

func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("yaml")
	}
	return names
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
