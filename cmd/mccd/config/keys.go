package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Key is one leaf of the configuration as people write it.
type Key struct {
	// Path is the full path, such as "limits.memory".
	Path string
	// Kind is "text", "true or false", "number", "size", "time", "list",
	// "drives" or "origins".
	Kind string
	// Default is the default's text, empty for none.
	Default string
	// Doc is one sentence or two for people.
	Doc string
}

// Env returns the key's environment variable.
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// Flag returns the key's flag without dashes, empty where a key has none:
// limits, times and origins are given by --set.
func (k Key) Flag() string {
	switch {
	case k.Path == "drives":
		return "drive"
	case k.Kind == "origins", strings.HasPrefix(k.Path, "limits."), strings.HasPrefix(k.Path, "timeouts."):
		return ""
	default:
		return strings.NewReplacer(".", "-", "_", "-").Replace(k.Path)
	}
}

// Keys returns every key in the order of the file.
func Keys() []Key {
	return walkKeys(reflect.ValueOf(*Default()), "", docs())
}

// OriginKeys returns the keys of one entry of origins; their paths begin with
// "origins[].".
func OriginKeys() []Key {
	return walkKeys(reflect.ValueOf(defaultOrigin()), "origins[]", docs())
}

func walkKeys(v reflect.Value, path string, texts map[string]string) []Key {
	var keys []Key
	for i, name := range fieldNames(v.Type()) {
		field, full := v.Field(i), join(path, name)
		if field.Kind() == reflect.Struct {
			keys = append(keys, walkKeys(field, full, texts)...)
			continue
		}
		keys = append(keys, Key{full, kindOf(field), defaultText(field), texts[full]})
	}
	return keys
}

func kindOf(v reflect.Value) string {
	switch v.Interface().(type) {
	case Size:
		return "size"
	case Duration:
		return "time"
	case bool, *bool:
		return "true or false"
	case int:
		return "number"
	case []Drive:
		return "drives"
	case []Origin:
		return "origins"
	case []string, []int:
		return "list"
	default:
		return "text"
	}
}

func defaultText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Slice, reflect.Pointer:
		return ""
	default:
		return fmt.Sprint(v.Interface())
	}
}
