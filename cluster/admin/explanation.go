package admin

import "time"

// Explanation tells what a client's request would meet at a node now, in the
// order of a request's life. The JSON names are what `mccd explain -o json`
// prints, and stay.
type Explanation struct {
	// Node is the name of the node that was asked.
	Node string   `json:"node"`
	URL  NamedURL `json:"url"`
	// Refused is what a client gets at once, and nothing else is told then; nil
	// = it is served.
	Refused *Refused      `json:"refused,omitempty"`
	Rule    ExplainedRule `json:"rule,omitzero"`
	// Object is 32 hexadecimal digits.
	Object string `json:"object,omitempty"`
	// Version is nil where none is known.
	Version   *ExplainedVersion `json:"version,omitempty"`
	Freshness Freshness         `json:"freshness,omitzero"`
	Purge     PurgeStanding     `json:"purge,omitzero"`
	// Home are the nodes that may act as home, the owner first.
	Home []Candidate `json:"home,omitempty"`
	// Silent are the nodes that did not tell what they hold.
	Silent []string `json:"silent,omitempty"`
	// FirstByte and EndByte, which is not among them, are what is explained;
	// More chunks of what was asked for come after.
	FirstByte int64            `json:"first_byte"`
	EndByte   int64            `json:"end_byte"`
	More      int64            `json:"more_chunks,omitempty"`
	Chunks    []ExplainedChunk `json:"chunks,omitempty"`
	// Next is what a request would do about the version, in sentences.
	Next []string `json:"next,omitempty"`
}

// NamedURL is how a URL is read; its query, which may be signed, is not told.
type NamedURL struct {
	Scheme string `json:"scheme"`
	// Host has a port only where it is not the scheme's default.
	Host string `json:"host"`
	Path string `json:"path"`
	// Form is "cacheHostOrigin" or "host": by which the origin is named.
	Form string `json:"form"`
	// QueryBytes is the length of the query without cacheHostOrigin.
	QueryBytes int64 `json:"query_bytes"`
}

// Refused is what a client gets at once.
type Refused struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
	// Nearest are the catalogue's host patterns that come nearest.
	Nearest []string `json:"nearest,omitempty"`
}

// ExplainedRule is the rule of an origin.
type ExplainedRule struct {
	Name    string `json:"name"`
	Product string `json:"product"`
	Profile string `json:"profile"`
	// KeyHost is empty where the key has the host itself.
	KeyHost     string `json:"key_host,omitempty"`
	QueryInKey  bool   `json:"query_in_key"`
	JoinSchemes bool   `json:"join_schemes"`
}

// ExplainedVersion is one state of an object.
type ExplainedVersion struct {
	// ID is 16 hexadecimal digits.
	ID string `json:"id"`
	// ToldBy is what tells versions apart.
	ToldBy       string `json:"told_by"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	// Size is -1 where it is not known.
	Size        int64  `json:"size"`
	ContentType string `json:"content_type,omitempty"`
	// Mark is the id of the purge after which it was fetched, empty for none.
	Mark string `json:"mark,omitempty"`
	// From is the node whose record it is, Whole one that fills the object
	// whole, empty for none.
	From  string `json:"from"`
	Whole string `json:"whole,omitempty"`
}

// Freshness is whether the origin has to be asked.
type Freshness struct {
	// Standing is "fresh", "stale", "always revalidated", "refuted" or "unknown".
	Standing string `json:"standing"`
	// ValidatedAgo is when the origin confirmed the version, FreshFor for how
	// long it is fresh then, and Left how much of it is left. In JSON they are
	// nanoseconds.
	ValidatedAgo time.Duration `json:"validated_ago_ns,omitempty"`
	FreshFor     time.Duration `json:"fresh_for_ns,omitempty"`
	Left         time.Duration `json:"left_ns,omitempty"`
	Why          string        `json:"why,omitempty"`
}

// PurgeStanding is how purges stand to an object.
type PurgeStanding struct {
	Index uint64 `json:"index"`
	// Hit is the newest purge that hits the object, nil = none.
	Hit *PurgeMark `json:"hit,omitempty"`
	// Killed tells that what the node kept is dead by it.
	Killed bool `json:"killed,omitempty"`
}

// Candidate is a node that may act for a chunk, or as home.
type Candidate struct {
	Node string `json:"node"`
	// WhyNot says why it is passed over now, empty = it is not.
	WhyNot string `json:"why_not,omitempty"`
}

// ExplainedChunk is one chunk.
type ExplainedChunk struct {
	Index     uint32 `json:"index"`
	FirstByte int64  `json:"first_byte"`
	EndByte   int64  `json:"end_byte"`
	// Size is the chunk's length, 0 = not known.
	Size int64 `json:"size,omitempty"`
	// Order are the owner and its successors, Acting the one that acts now.
	Order   []Candidate       `json:"order"`
	Acting  string            `json:"acting"`
	Holders []ExplainedHolder `json:"holders,omitempty"`
	Steps   []ExplainedStep   `json:"steps"`
}

// ExplainedHolder is a node that has bytes of a chunk.
type ExplainedHolder struct {
	Node  string `json:"node"`
	Bytes int64  `json:"bytes"`
	// Coming is what its Flights bring.
	Coming  int64 `json:"coming,omitempty"`
	Flights int   `json:"flights,omitempty"`
	// Worth is "owned", "borrowed", "old" or "pinned".
	Worth string `json:"worth,omitempty"`
	// Known tells that the acting owner knows of it.
	Known bool `json:"known"`
}

// ExplainedStep is where bytes would come from.
type ExplainedStep struct {
	// Kind is "hit", "joined", "peer" or "origin".
	Kind string `json:"kind"`
	// By is the node that gets them, From the one that has them, empty for the
	// origin.
	By    string `json:"by"`
	From  string `json:"from,omitempty"`
	Bytes int64  `json:"bytes"`
	Why   string `json:"why"`
}
