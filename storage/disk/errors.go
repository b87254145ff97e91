package disk

import "errors"

var (
	// ErrNotHeld: nothing of the chunk, or no record of the object, is here.
	ErrNotHeld = errors.New("not held")
	// ErrCondemned: a block of the chunk did not match its checksum. Release
	// the chunk and take it again by Lookup or Create: that gives the repaired
	// file, in which the bad block is absent.
	ErrCondemned = errors.New("chunk condemned")
	// ErrMoved: the chunk goes on in another file, because its drive took no
	// more writes. Release it and take it again, as after ErrCondemned.
	ErrMoved = errors.New("chunk moved")
	// ErrLocked: another process, or another Store, has the drive or directory.
	ErrLocked = errors.New("in use by another process")
	// ErrFormat: the drive was written by a newer release.
	ErrFormat = errors.New("drive has a newer format than this release knows")
	// ErrDrive: the drive named is none of the store's, or cannot be given away.
	ErrDrive = errors.New("no such drive")
	// ErrStays: a part of a drive's content found no place on the others.
	ErrStays = errors.New("content could not be moved")
	// ErrBlockLength: the bytes given are not exactly one block.
	ErrBlockLength = errors.New("not exactly one block")
	// ErrVersion: the key does not belong to the version given with it.
	ErrVersion = errors.New("key and version do not belong together")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store is closed")

	// errNoRoom: the limit is reached and all that is held is in use.
	errNoRoom = errors.New("no room within the limit")
	// errOut: the drive may not be asked at this moment.
	errOut = errors.New("drive is out of reach")
	// errNowhere: no other drive takes a chunk that is to move.
	errNowhere = errors.New("no other drive takes it")
	// errStale: the chunk is condemned or moved; the writer follows.
	errStale = errors.New("chunk is not current")
	// errDamaged: a file's header or checksum does not hold.
	errDamaged = errors.New("damaged file")
	// errNewer: a file's format is newer than known.
	errNewer = errors.New("newer format")
	// errUnwritable: the drive refused a write a moment ago.
	errUnwritable = errors.New("drive cannot be written now")
	// errUnreadable: the drive failed a moment ago.
	errUnreadable = errors.New("drive cannot be read now")
	// errTooLong: the version's validators do not fit into a header.
	errTooLong = errors.New("validators too long for a chunk file")
	// errMark: the ID of a purge mark is not 16 hexadecimal digits.
	errMark = errors.New("malformed purge mark")
)
