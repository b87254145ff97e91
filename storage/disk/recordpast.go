package disk

import (
	"encoding/binary"
	"time"

	"github.com/mccd/mccd/storage"
)

// maxPast bounds the earlier versions in one record.
const maxPast = 256

// pastFixed is the length of an earlier version without its strings.
const pastFixed = 8 + 8 + 8 + 8 + 1

// appendPast writes the versions that an object had before, behind all else: a
// release that does not know of them leaves them unread. None are no bytes.
func appendPast(b []byte, past []storage.Past) ([]byte, error) {
	if len(past) == 0 {
		return b, nil
	}
	past = past[:min(len(past), maxPast)]
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(past)))
	for i := range past {
		v := &past[i].Version
		b = le.AppendUint64(b, uint64(past[i].Until.UnixNano()))
		b = le.AppendUint64(b, uint64(v.Size))
		b = le.AppendUint64(b, v.Nonce)
		var mark [8]byte
		if err := encodeMark(mark[:], v.Mark); err != nil {
			return nil, err
		}
		b = append(append(b, mark[:]...), byte(v.Kind))
		for _, s := range []string{v.ETag, v.LastModified, v.Variant, past[i].Whole} {
			b = appendString(b, s)
		}
	}
	return b, nil
}

// takePast is the inverse of appendPast.
func takePast(b []byte) ([]storage.Past, bool) {
	if len(b) == 0 {
		return nil, true
	}
	le := binary.LittleEndian
	if len(b) < 4 || le.Uint32(b) > maxPast {
		return nil, false
	}
	n := le.Uint32(b)
	b = b[4:]
	past := make([]storage.Past, n)
	for i := range past {
		if len(b) < pastFixed {
			return nil, false
		}
		p := &past[i]
		p.Until = time.Unix(0, int64(le.Uint64(b)))
		p.Version = storage.Version{
			Size: int64(le.Uint64(b[8:])), Nonce: le.Uint64(b[16:]), Mark: decodeMark(b[24:32]), Kind: storage.ValidatorKind(b[32]),
		}
		b = b[pastFixed:]
		var ok bool
		for _, s := range []*string{&p.Version.ETag, &p.Version.LastModified, &p.Version.Variant, &p.Whole} {
			if *s, b, ok = takeString(b); !ok {
				return nil, false
			}
		}
	}
	return past, true
}
