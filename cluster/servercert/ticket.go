package servercert

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"
)

// ticketDay is how long one key seals the sessions that begin.
const ticketDay = 24 * time.Hour

// TicketKeys returns the keys that seal sessions at now, made of a secret that
// all nodes share: that of the day (UTC), of the day before, and of the next
// one, as the clocks of others may be ahead. Nodes agree on them by themselves.
func TicketKeys(secret []byte, now time.Time) ([][32]byte, error) {
	day := now.Unix() / int64(ticketDay/time.Second)
	keys := make([][32]byte, 0, 3)
	for _, d := range []int64{day, day - 1, day + 1} {
		raw, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("mccd session tickets of clients, day %d", d), 32)
		if err != nil {
			return nil, fmt.Errorf("make session ticket keys: %w", err)
		}
		keys = append(keys, [32]byte(raw))
	}
	return keys, nil
}
