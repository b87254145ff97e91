package gateway

import "strings"

// maxCaches bounds the caches that a request may have come through.
const maxCaches = 8

// cachesPassed returns the names in CDN-Loop (RFC 8586), without their
// parameters, as storage.Ref.Caches has them. looped: own is one of them, or
// there are more than any chain of parent caches has.
func cachesPassed(lines []string, own string) (caches string, looped bool) {
	var names []string
	for _, line := range lines {
		for entry := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(entry, ";")
			name = strings.Trim(name, " \t")
			if name == "" {
				continue
			}
			if own != "" && strings.EqualFold(name, own) {
				return "", true
			}
			if len(name) > 64 || strings.ContainsFunc(name, notInCacheName) {
				continue // not one that a cache would give itself
			}
			names = append(names, name)
		}
	}
	return strings.Join(names, ", "), len(names) > maxCaches
}

func notInCacheName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]", r)
}
