package disk

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// The layout of a record file; DESIGN.md has the byte table.
const (
	recordMagic  = "MCCDRECD"
	recordFixed  = 192
	recordSuffix = ".rec"
	maxHeaders   = 4096
)

// encodeRecord returns the file of a record, stamped with the time of storing.
// What follows a question mark in the path, and addresses with a query in the
// headers, are left out: a query may hold a signed token.
func encodeRecord(o *storage.Object, stored time.Time) ([]byte, error) {
	le, b := binary.LittleEndian, make([]byte, recordFixed, recordFixed+512)
	var err error
	copy(b, recordMagic)
	le.PutUint32(b[8:], formatVersion)
	// 12: checksum, 16: length of the file
	copy(b[24:], o.ID[:])
	le.PutUint64(b[40:], uint64(stored.UnixNano()))
	le.PutUint64(b[48:], uint64(o.ValidatedAt.UnixNano()))
	le.PutUint64(b[56:], uint64(o.FreshFor))
	le.PutUint64(b[64:], uint64(o.Version.Size))
	le.PutUint64(b[72:], o.Version.Nonce)
	le.PutUint64(b[80:], o.Registration)
	b[96] = byte(o.Version.Kind)
	encodeStamp(b, o.Stamp)
	if err := encodeMark(b[160:168], o.Version.Mark); err != nil {
		return nil, err
	}
	// Reserved, zero: 104 catalogue revision, 136 home epoch, 144 variant key
	// digest (16).
	path, _, _ := strings.Cut(o.Path, "?")
	for _, s := range []string{o.Host, path, o.Version.ETag, o.Version.LastModified, o.Version.Variant, o.Whole} {
		b = appendString(b, s)
	}
	names := make([]string, 0, len(o.Header))
	for name := range o.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	count := len(b)
	b = le.AppendUint32(b, 0)
	n := uint32(0)
	for _, name := range names {
		for _, value := range o.Header[name] {
			if (name == "Location" || name == "Content-Location") && strings.Contains(value, "?") {
				continue
			}
			b = appendString(appendString(b, name), value)
			n++
		}
	}
	le.PutUint32(b[count:], n)
	if b, err = appendPast(b, o.Past); err != nil {
		return nil, err
	}
	le.PutUint64(b[16:], uint64(len(b)))
	le.PutUint32(b[12:], recordSum(b))
	return b, nil
}

// encodeStamp writes a stamp into a record. One whose cluster is not 32
// lower-case hexadecimal digits is left out: it counts as the oldest.
func encodeStamp(b []byte, s storage.Stamp) {
	if len(s.Cluster) != 32 {
		return
	}
	var id [16]byte
	if _, err := hex.Decode(id[:], []byte(s.Cluster)); err != nil || hex.EncodeToString(id[:]) != s.Cluster {
		return
	}
	copy(b[112:], id[:])
	binary.LittleEndian.PutUint64(b[88:], s.Index)
	binary.LittleEndian.PutUint32(b[128:], s.Generation)
}

// decodeStamp is the inverse of encodeStamp.
func decodeStamp(b []byte) (s storage.Stamp) {
	if [16]byte(b[112:128]) == [16]byte{} {
		return s // of a time without clusters
	}
	return storage.Stamp{
		Cluster: hex.EncodeToString(b[112:128]), Generation: binary.LittleEndian.Uint32(b[128:]),
		Index: binary.LittleEndian.Uint64(b[88:]),
	}
}

// decodeRecord is the inverse of encodeRecord.
func decodeRecord(b []byte) (*storage.Object, time.Time, error) {
	le := binary.LittleEndian
	if len(b) < recordFixed || string(b[:8]) != recordMagic {
		return nil, time.Time{}, errDamaged
	}
	if le.Uint32(b[8:]) > formatVersion {
		return nil, time.Time{}, errNewer
	}
	if le.Uint64(b[16:]) != uint64(len(b)) || le.Uint32(b[12:]) != recordSum(b) {
		return nil, time.Time{}, errDamaged
	}
	o := &storage.Object{
		ID:           storage.ObjectID(b[24:40]),
		ValidatedAt:  time.Unix(0, int64(le.Uint64(b[48:]))),
		FreshFor:     time.Duration(le.Uint64(b[56:])),
		Registration: le.Uint64(b[80:]),
		Stamp:        decodeStamp(b),
		Header:       http.Header{},
	}
	o.Version.Size = int64(le.Uint64(b[64:]))
	o.Version.Nonce = le.Uint64(b[72:])
	o.Version.Kind = storage.ValidatorKind(b[96])
	o.Version.Mark = decodeMark(b[160:168])
	rest := b[recordFixed:]
	var ok bool
	for _, s := range []*string{&o.Host, &o.Path, &o.Version.ETag, &o.Version.LastModified, &o.Version.Variant, &o.Whole} {
		if *s, rest, ok = takeString(rest); !ok {
			return nil, time.Time{}, errDamaged
		}
	}
	if len(rest) < 4 {
		return nil, time.Time{}, errDamaged
	}
	n := le.Uint32(rest)
	rest = rest[4:]
	if n > maxHeaders {
		return nil, time.Time{}, errDamaged
	}
	for range n {
		var name, value string
		if name, rest, ok = takeString(rest); ok {
			value, rest, ok = takeString(rest)
		}
		if !ok {
			return nil, time.Time{}, errDamaged
		}
		o.Header[name] = append(o.Header[name], value)
	}
	if o.Past, ok = takePast(rest); !ok {
		return nil, time.Time{}, errDamaged
	}
	return o, time.Unix(0, int64(le.Uint64(b[40:]))), nil
}

func recordSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[16:])
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

func takeString(b []byte) (string, []byte, bool) {
	if len(b) < 4 {
		return "", b, false
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return "", b, false
	}
	return string(b[4 : 4+n]), b[4+n:], true
}

func recordName(id storage.ObjectID) string { return id.String() + recordSuffix }

func parseRecordName(name string) (id storage.ObjectID, ok bool) {
	hexID, found := strings.CutSuffix(name, recordSuffix)
	if !found || len(hexID) != 2*len(id) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(hexID))
	return id, err == nil && recordName(id) == name
}
