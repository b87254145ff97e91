package admin

import "time"

// Token is what is kept of a token; its secret is not in it. The JSON names
// are what `mccd token list -o json` prints, and stay.
type Token struct {
	// ID is 8 hexadecimal digits.
	ID   string `json:"id"`
	Note string `json:"note,omitempty"`
	// Created and Expires are by the leader's clock; a zero Expires = never.
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Uses is how many more nodes it admits; -1 = any number.
	Uses    int64 `json:"uses_left"`
	Revoked bool  `json:"revoked,omitempty"`
	// Admitted is how many nodes it has admitted.
	Admitted int64 `json:"admitted"`
}
