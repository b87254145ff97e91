package disk

// scrubState is how far the scrub of a drive is.
type scrubState struct{}

func (t *scrubState) stats() ScrubStats { return ScrubStats{} }
