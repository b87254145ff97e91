package storage

import (
	"net/http"
	"slices"
	"time"
)

// ResumeWindow is for how long it counts which version a client has had
// (docs/clients.md section 8), and for how long all versions that an object had
// are known.
const ResumeWindow = 15 * time.Minute

const (
	// pastMost bounds the versions known of an object beside the present one;
	// pastOld those that were replaced longer than ResumeWindow ago.
	pastMost = 32
	pastOld  = 4
)

// Past is a version that an object had before the present one. What is held of
// it is given to who began with it.
type Past struct {
	Version Version
	// Until is when a later version was found in its place, by this node's
	// clock.
	Until time.Time
	// Whole has the meaning of Object.Whole.
	Whole string
}

// After returns o with the versions that before, the record in whose place it
// comes, tells of beside its own: before's, and those that before knows. nil =
// there was none. Versions from before a purge that o's does not share are left
// out. Neither argument is changed; it may return o.
func (o *Object) After(before *Object) *Object {
	if before == nil || len(before.Past) == 0 && before.Version.ID() == o.Version.ID() {
		return o
	}
	all := slices.Clone(o.Past)
	all = append(all, before.Past...)
	if !slices.ContainsFunc(o.Past, func(p Past) bool { return p.Version.ID() == before.Version.ID() }) {
		all = append(all, Past{Version: before.Version, Until: o.ValidatedAt, Whole: before.Whole})
	}
	slices.SortStableFunc(all, func(a, b Past) int { return b.Until.Compare(a.Until) })
	seen := map[VersionID]bool{o.Version.ID(): true}
	kept := make([]Past, 0, len(all))
	for _, p := range all {
		id := p.Version.ID()
		if seen[id] || p.Version.Mark != o.Version.Mark || len(kept) >= pastMost ||
			len(kept) >= pastOld && o.ValidatedAt.Sub(p.Until) > ResumeWindow {
			continue
		}
		seen[id] = true
		kept = append(kept, p)
	}
	now := *o
	now.Past = kept
	return &now
}

// Earlier returns a record of p, a version that o's object had before: to be had
// from what nodes hold of it, never current.
func (o *Object) Earlier(p Past) *Object {
	e := *o
	e.Version, e.Whole, e.Past, e.FreshFor = p.Version, p.Whole, nil, 0
	e.Registration = max(1, o.Registration-1) // so that it counts as replaced by o
	e.Header = make(http.Header, 3)
	if t, ok := o.Header["Content-Type"]; ok {
		e.Header["Content-Type"] = t
	}
	if p.Version.ETag != "" {
		e.Header["Etag"] = []string{p.Version.ETag}
	}
	if p.Version.LastModified != "" {
		e.Header["Last-Modified"] = []string{p.Version.LastModified}
	}
	return &e
}

// Had reports whether v is one that o's object had until less than ResumeWindow
// before now.
func (o *Object) Had(v VersionID, now time.Time) bool {
	return slices.ContainsFunc(o.Past, func(p Past) bool {
		return p.Version.ID() == v && now.Sub(p.Until) < ResumeWindow
	})
}

// Changed reports whether o's object had another version less than ResumeWindow
// before now.
func (o *Object) Changed(now time.Time) bool {
	return len(o.Past) > 0 && now.Sub(o.Past[0].Until) < ResumeWindow
}
