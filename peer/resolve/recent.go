package resolve

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/mccd/mccd/storage"
)

// recentParts is how many parts a large recent has: requests of different
// objects rarely meet at one lock.
const recentParts = 16

// recent holds the records that were used last. It is safe for concurrent use.
type recent []*lru.Cache[storage.ObjectID, *storage.Object]

// newRecent returns a recent of at most entries records; what little it holds
// less for being divided does not matter in a large one.
func newRecent(entries int) recent {
	parts := 1
	if entries >= 64*recentParts {
		parts = recentParts
	}
	r := make(recent, parts)
	for i := range r {
		part, err := lru.New[storage.ObjectID, *storage.Object](max(1, entries/parts))
		if err != nil {
			panic(err) // only a size below 1 is refused
		}
		r[i] = part
	}
	return r
}

func (r recent) part(id storage.ObjectID) *lru.Cache[storage.ObjectID, *storage.Object] {
	return r[int(id[len(id)-1])%len(r)]
}

// get returns the record of id and notes its use; peek does not note it.
func (r recent) get(id storage.ObjectID) (*storage.Object, bool)  { return r.part(id).Get(id) }
func (r recent) peek(id storage.ObjectID) (*storage.Object, bool) { return r.part(id).Peek(id) }

func (r recent) add(id storage.ObjectID, o *storage.Object) { r.part(id).Add(id, o) }
func (r recent) remove(id storage.ObjectID)                 { r.part(id).Remove(id) }

// keys returns the objects that have a record here.
func (r recent) keys() []storage.ObjectID {
	var all []storage.ObjectID
	for _, part := range r {
		all = append(all, part.Keys()...)
	}
	return all
}
