package storage

// The units of mccd. They are part of the disk format and of placement:
// changing one changes every chunk file and moves every chunk.
const (
	// ChunkSize is the length in bytes of every chunk of an object but its
	// last: what the ring places, the disk stores and evicts, a peer fills.
	ChunkSize = 8 << 20
	// BlockSize is the length in bytes of every block of a chunk but its
	// last: the unit of presence and of checksum.
	BlockSize = 64 << 10
	// PieceSize is the length in bytes to which fills are rounded: the piece
	// that the Windows Delivery Optimization agent asks for (docs/clients.md
	// section 3).
	PieceSize = 1 << 20
	// BlocksPerChunk is the number of blocks of a full chunk.
	BlocksPerChunk = ChunkSize / BlockSize
)

// ChunkOf returns the index of the chunk that holds the object's byte off.
func ChunkOf(off int64) uint32 { return uint32(off / ChunkSize) }

// ChunkSpan returns the bytes of an object of the given size that chunk index
// covers, in the object's own offsets; it is empty beyond the end.
func ChunkSpan(size int64, index uint32) Span {
	off := int64(index) * ChunkSize
	return Span{off, min(off+ChunkSize, max(size, off))}
}

// Chunks returns the number of chunks of an object of the given size.
func Chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }
