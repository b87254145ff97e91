package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteReference writes docs/configuration.md: every key with its kind,
// default, variable and flag.
func WriteReference(w io.Writer) error {
	b := &strings.Builder{}
	b.WriteString(referenceHead)
	section := ""
	for _, k := range Keys() {
		if s, _, ok := strings.Cut(k.Path, "."); ok && s != section {
			section = s
			fmt.Fprintf(b, "\n## %s\n", section)
		} else if !ok && section != "" {
			section = ""
			b.WriteString("\n## Access log\n")
		}
		writeKey(b, k, true)
	}
	b.WriteString("\n## Each entry of origins\n")
	for _, k := range OriginKeys() {
		writeKey(b, k, false)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const referenceHead = `# Configuration of a node

Generated from the program by ` + "`make generate`" + `; a test keeps it fresh. ` + "`mccd config example`" + ` prints a
commented file, ` + "`mccd config check FILE`" + ` judges one.

A node needs no configuration. What is given comes from, each over the one before:
the defaults, one YAML file (` + "`--config`, else `MCCD_CONFIG`, else `/etc/mccd/mccd.yaml`" + ` where it exists),
the environment, flags. Unknown keys are errors; all faults are reported at once and end the
program with exit code 2. Everything here is local to the node and read at its start.

Kinds: a **size** is a number with a unit (` + "`64KiB`, `1.5GiB`, `100GB`" + `), a **time** likewise
(` + "`300ms`, `30s`, `1h30m`" + `). In the environment and in flags a **list** is split at commas, **drives** are
written ` + "`PATH=SIZE,PATH=SIZE`" + `, and **origins** as YAML. Keys without a flag of their own are given by
` + "`--set KEY=VALUE`" + `.

## The node
`

func writeKey(b *strings.Builder, k Key, outside bool) {
	fmt.Fprintf(b, "\n### `%s`\n%s\n\nKind: %s.", k.Path, k.Doc, k.Kind)
	switch {
	case k.Default != "":
		fmt.Fprintf(b, " Default: `%s`.", k.Default)
	case !strings.Contains(k.Doc, "Default"):
		b.WriteString(" Default: none.")
	}
	if outside {
		fmt.Fprintf(b, " Environment: `%s`.", k.Env())
		if k.Flag() != "" {
			fmt.Fprintf(b, " Flag: `--%s`.", k.Flag())
		}
	}
	b.WriteString("\n")
}

// WriteExample writes deploy/mccd.yaml: every key commented out at its
// default, with its text.
func WriteExample(w io.Writer) error {
	b := &strings.Builder{}
	b.WriteString(exampleHead)
	section := ""
	for _, k := range Keys() {
		s, leaf, ok := strings.Cut(k.Path, ".")
		indent := "  "
		if !ok {
			s, leaf, indent = "", k.Path, ""
		}
		b.WriteString("\n")
		if s != section && s != "" {
			fmt.Fprintf(b, "#%s:\n", s)
		}
		section = s
		comment(b, indent, k.Doc)
		switch {
		case k.Path == "drives":
			b.WriteString(exampleDrives)
		case k.Path == "origins":
			b.WriteString(exampleOrigins)
		case k.Kind == "list":
			fmt.Fprintf(b, "#%s%s: []\n", indent, leaf)
		default:
			fmt.Fprintf(b, "#%s%s: %s\n", indent, leaf, yamlText(k))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const exampleHead = `# Configuration of one mccd node. Every key is optional: a line that begins with
# "#key:" shows the key at its default. Remove the # to change it.
# docs/configuration.md has the environment variable and the flag of each key;
# "mccd config check FILE" reports every fault of a file at once.
`

const exampleDrives = `#drives:
#  - path: /srv/cache1
#    size: 200GiB
#  - path: /srv/cache2
#    size: 200GiB
`

const exampleOrigins = `#origins:
#  - name: debian
#    product: Debian packages
#    profile: http
#    hosts: [deb.debian.org, security.debian.org]
#    ports: [80, 443]
#    immutable_prefixes: [/debian/pool/]
#    fresh_for: 0
#  - name: intranet
#    profile: do
#    hosts: ["*.updates.example.internal"]
#    connect: 192.0.2.10:8080
#    allow_private: true
#    max_requests: 16
`

func yamlText(k Key) string {
	if k.Kind == "text" && (k.Default == "" || strings.HasPrefix(k.Default, ":")) {
		return `"` + k.Default + `"`
	}
	return k.Default
}

// comment wraps text at 78 columns. A second # keeps it apart from keys.
func comment(b *strings.Builder, indent, text string) {
	line := "#" + indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 78 {
			b.WriteString(line + "\n")
			line = "#" + indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
