package figures

import "slices"

// Median returns the middle of values, 0 of none.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile returns what the fraction q (0 to 1) of values does not exceed,
// between two of them in proportion; 0 of none.
func Quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	at := min(max(q, 0), 1) * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

// Ratios returns ours[i]/theirs[i] of every round in which both were measured
// and theirs is not 0.
func Ratios(ours, theirs []float64) []float64 {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] != 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	return ratios
}
