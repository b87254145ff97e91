package faultorigin

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Object is one path that the server answers for.
type Object struct {
	// Path is the raw path, escapes as they come on the wire, beginning with
	// "/" and without the query.
	Path string
	// Size is the length in bytes.
	Size int64
	// Version selects the content and the default validators; "" = "1".
	Version string
	// Header is added to each answer, in place of the server's own fields of
	// those names; a field with no value is left out of the answer.
	Header http.Header
	// LastModified is sent in place of the default, a date in 2025 that
	// differs by version.
	LastModified time.Time
}

// DefaultVersion is the version of an Object that names none.
const DefaultVersion = "1"

// entity is what one answer is made from.
type entity struct {
	path, version string
	size          int64
	etag          string
	modified      time.Time
	header        http.Header
	content       io.ReaderAt
	close         func()
}

func (o Object) entity(version string) *entity {
	if version == "" {
		version = o.Version
	}
	if version == "" {
		version = DefaultVersion
	}
	return &entity{
		path: o.Path, version: version, size: o.Size, etag: ETag(o.Path, version),
		modified: o.modified(version), header: o.Header,
		content: generated{seed(o.Path, version), o.Size}, close: func() {},
	}
}

func (o Object) modified(version string) time.Time {
	if !o.LastModified.IsZero() {
		return o.LastModified
	}
	return LastModified(o.Path, version)
}

// ETag returns the strong ETag, with its quotes, that the server sends for the
// given version of path.
func ETag(path, version string) string {
	sum := sha256.Sum256([]byte(path + "\x00" + version))
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// LastModified returns the date that the server sends for the given version of
// path, in 2025.
func LastModified(path, version string) time.Time {
	day := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return day.Add(time.Duration(seed(path, "date "+version)%(364*86400)) * time.Second)
}

// file opens a real file below root; nil if there is none. The name is the
// unescaped path and cannot leave root.
func file(root *os.Root, rawPath string) *entity {
	name, err := url.PathUnescape(strings.TrimLeft(rawPath, "/"))
	if err != nil || name == "" {
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil
	}
	version := strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36)
	return &entity{
		path: rawPath, version: version, size: info.Size(), etag: ETag(rawPath, version),
		modified: info.ModTime(), content: f, close: func() { f.Close() },
	}
}
