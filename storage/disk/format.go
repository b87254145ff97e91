package disk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"github.com/mccd/mccd/storage"
)

// The layout of a chunk file; DESIGN.md has the byte tables.
const (
	formatVersion = 1
	headSize      = 4096
	tableOff      = headSize
	entrySize     = 16
	tableSize     = storage.BlocksPerChunk * entrySize
	// dataOff is where block 0 begins: blocks are aligned to their own size,
	// so that no page or large folio of the cache holds parts of two blocks.
	dataOff = storage.BlockSize
	// headCharge is what header and table count against the limit.
	headCharge = 2 * 4096
	stringsOff = 128
)

const chunkMagic = "MCCDCHNK"

// castagnoli is the CRC32C table, which the processor computes itself.
var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table

// encodeHead returns the header of key's chunk file.
func encodeHead(key storage.ChunkKey, v storage.Version) ([]byte, error) {
	if stringsOff+len(v.ETag)+len(v.LastModified)+len(v.Variant) > headSize {
		return nil, errTooLong
	}
	le, b := binary.LittleEndian, make([]byte, headSize)
	copy(b, chunkMagic)
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:], key.Object[:])
	copy(b[32:], key.Version[:])
	le.PutUint32(b[40:], key.Index)
	le.PutUint32(b[44:], uint32(storage.ChunkSpan(v.Size, key.Index).Len()))
	le.PutUint64(b[48:], uint64(v.Size))
	le.PutUint64(b[56:], v.Nonce)
	b[64] = byte(v.Kind)
	// 72: catalogue revision, 80: variant key digest; both reserved, zero.
	if err := encodeMark(b[104:112], v.Mark); err != nil {
		return nil, err
	}
	le.PutUint16(b[96:], uint16(len(v.ETag)))
	le.PutUint16(b[98:], uint16(len(v.LastModified)))
	le.PutUint16(b[100:], uint16(len(v.Variant)))
	rest := b[stringsOff:]
	for _, s := range []string{v.ETag, v.LastModified, v.Variant} {
		rest = rest[copy(rest, s):]
	}
	le.PutUint32(b[12:], crc32.Checksum(b, castagnoli))
	return b, nil
}

// decodeHead returns what a header says, after checking that it is whole and
// agrees with itself. b is not changed.
func decodeHead(b []byte) (storage.ChunkKey, storage.Version, error) {
	var key storage.ChunkKey
	var v storage.Version
	if len(b) < headSize || string(b[:8]) != chunkMagic {
		return key, v, errDamaged
	}
	b = b[:headSize]
	le := binary.LittleEndian
	if le.Uint32(b[8:]) > formatVersion {
		return key, v, errNewer
	}
	sum := crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, make([]byte, 4))
	if crc32.Update(sum, castagnoli, b[16:]) != le.Uint32(b[12:]) {
		return key, v, errDamaged
	}
	copy(key.Object[:], b[16:])
	copy(key.Version[:], b[32:])
	key.Index = le.Uint32(b[40:])
	v.Size = int64(le.Uint64(b[48:]))
	v.Nonce = le.Uint64(b[56:])
	v.Kind = storage.ValidatorKind(b[64])
	v.Mark = decodeMark(b[104:112])
	rest := b[stringsOff:]
	for _, f := range []struct {
		s   *string
		off int
	}{{&v.ETag, 96}, {&v.LastModified, 98}, {&v.Variant, 100}} {
		n := int(le.Uint16(b[f.off:]))
		if n > len(rest) {
			return key, v, errDamaged
		}
		*f.s, rest = string(rest[:n]), rest[n:]
	}
	length := chunkLen(v.Size, key.Index)
	if length <= 0 || int64(le.Uint32(b[44:])) != length || v.ID() != key.Version {
		return key, v, errDamaged
	}
	return key, v, nil
}

// encodeMark writes the ID of a purge mark into 8 bytes; zeros stand for none.
func encodeMark(b []byte, mark string) error {
	if mark == "" {
		return nil
	}
	if len(mark) != 2*len(b) {
		return errMark
	}
	if _, err := hex.Decode(b, []byte(mark)); err != nil || decodeMark(b) != mark {
		return errMark
	}
	return nil
}

// decodeMark is the inverse of encodeMark.
func decodeMark(b []byte) string {
	if binary.LittleEndian.Uint64(b) == 0 {
		return ""
	}
	return hex.EncodeToString(b)
}

// encodeEntry fills the 16 bytes that publish a block. The check binds them to
// the chunk and the block, so that no stray bytes pass for an entry.
func encodeEntry(b *[entrySize]byte, key storage.ChunkKey, i int, sum uint32, length int64) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], sum)
	le.PutUint32(b[4:], uint32(length))
	le.PutUint32(b[8:], 0) // reserved
	le.PutUint32(b[12:], entryCheck(b[:12], key, i))
}

// decodeTable returns the blocks whose entries hold, and their checksums.
func decodeTable(b []byte, key storage.ChunkKey, length int64, sums *[storage.BlocksPerChunk]uint32) Bitmap {
	var present Bitmap
	le := binary.LittleEndian
	for i := range blocksOf(length) {
		if (i+1)*entrySize > len(b) {
			break
		}
		e := b[i*entrySize:][:entrySize]
		if int64(le.Uint32(e[4:])) == blockLen(length, i) && le.Uint32(e[12:]) == entryCheck(e[:12], key, i) {
			sums[i] = le.Uint32(e)
			present.set(i)
		}
	}
	return present
}

func entryCheck(b []byte, key storage.ChunkKey, i int) uint32 {
	var salt [32]byte
	copy(salt[:], key.Object[:])
	copy(salt[16:], key.Version[:])
	binary.LittleEndian.PutUint32(salt[24:], key.Index)
	binary.LittleEndian.PutUint32(salt[28:], uint32(i))
	return crc32.Update(crc32.Checksum(salt[:], castagnoli), castagnoli, b)
}

// chunkLen is the length of a chunk, 0 where an object of that size has none.
func chunkLen(size int64, index uint32) int64 {
	if size < 0 || int64(index)*storage.ChunkSize >= size {
		return 0
	}
	return storage.ChunkSpan(size, index).Len()
}

// blocksOf is the number of blocks of a chunk.
func blocksOf(length int64) int { return int((length + storage.BlockSize - 1) / storage.BlockSize) }

// blockLen is the length of block i of a chunk.
func blockLen(length int64, i int) int64 {
	return min(storage.BlockSize, length-int64(i)*storage.BlockSize)
}

// charge is what n bytes take on a drive.
func charge(n int64) int64 { return (n + 4095) &^ 4095 }

// sameVersion compares what counts under the kind of validator.
func sameVersion(a, b storage.Version) bool {
	if a.Kind != b.Kind || a.Size != b.Size || a.Variant != b.Variant || a.Mark != b.Mark {
		return false
	}
	switch a.Kind {
	case storage.ValidatorETag:
		return a.ETag == b.ETag
	case storage.ValidatorLastModified, storage.ValidatorLastModifiedLength:
		return a.LastModified == b.LastModified
	case storage.ValidatorImmutable:
		return true
	default:
		return a.Nonce == b.Nonce
	}
}

const nameLen = 32 + 1 + 16 + 1 + 8

// chunkName is the file name of key: the key itself.
func chunkName(key storage.ChunkKey) string {
	return fmt.Sprintf("%x-%x-%08x", key.Object[:], key.Version[:], key.Index)
}

// parseName is the inverse of chunkName.
func parseName(name string) (key storage.ChunkKey, ok bool) {
	if len(name) != nameLen || name[32] != '-' || name[49] != '-' {
		return key, false
	}
	var index [4]byte
	if _, err := hex.Decode(key.Object[:], []byte(name[:32])); err != nil {
		return key, false
	}
	if _, err := hex.Decode(key.Version[:], []byte(name[33:49])); err != nil {
		return key, false
	}
	if _, err := hex.Decode(index[:], []byte(name[50:])); err != nil {
		return key, false
	}
	key.Index = binary.BigEndian.Uint32(index[:])
	return key, chunkName(key) == name
}

// chunkPath is the place of key's file on a drive.
func chunkPath(drive string, key storage.ChunkKey) string {
	return filepath.Join(drive, "chunks", fmt.Sprintf("%02x", byte(storage.PlacementHash(key.Object, key.Index))), chunkName(key))
}
