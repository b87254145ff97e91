package disk

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Op tells what an operation on a drive is for, so that a test can fail
// exactly one step.
type Op uint8

// The operations.
const (
	OpPrepare Op = iota // make a drive's directories
	OpLock              // lock a drive
	OpIdent             // read or write a drive's id
	OpTotals            // read or write a drive's saved totals
	OpClean             // remove what a crash left behind
	OpSpace             // ask for the free space
	OpScan              // list a directory
	OpCreate            // create a temporary chunk file
	OpHeader            // write a chunk's header
	OpSize              // give a chunk file its length
	OpPublish           // rename a chunk file to its name
	OpOpen              // open a chunk file
	OpLoad              // read header and table
	OpBlock             // write a block's bytes
	OpEntry             // write a block's table entry
	OpVerify            // read bytes to verify them
	OpCopy              // read a block to copy it into a replacement
	OpDiscard           // remove a temporary or replaced file
	OpEvict             // remove an evicted chunk file
	OpTouch             // note a chunk's last use
	OpMemory            // create a memory file
	OpRecord            // read, write or remove a record
	OpProbe             // read what tells whether a slow drive answers again
	OpIndex             // read, write or remove the saved index
	OpScrub             // read or write how far the scrub is
)

// String returns the operation's word.
func (op Op) String() string {
	names := [...]string{"prepare", "lock", "ident", "totals", "clean", "space", "scan", "create", "header",
		"size", "publish", "open", "load", "block", "entry", "verify", "copy", "discard", "evict", "touch", "memory", "record", "probe", "index", "scrub"}
	if int(op) < len(names) {
		return names[op]
	}
	return "unknown"
}

// Info is what a directory says of one file.
type Info struct {
	Name string
	Dir  bool
	// Bytes is what the file takes on the drive, holes not counted.
	Bytes int64
	// Size is the file's length.
	Size int64
	// Used is when the file was last written or touched.
	Used time.Time
}

// Space is what a file system has, in bytes and inodes; Inodes is 0 where it
// has no fixed number of them.
type Space struct {
	Total, Free        int64
	Inodes, FreeInodes int64
}

// FS is everything that a Store does to its drives. Files are the system's
// own, because readers send them with sendfile. Implementations are safe for
// concurrent use.
type FS interface {
	// Mkdir makes path and what is missing above it.
	Mkdir(op Op, path string) error
	// Open opens path by the flags of package os, with mode 0600.
	Open(op Op, path string, flag int) (*os.File, error)
	// Memory returns a new file that is in no directory and on no drive.
	Memory(op Op, name string) (*os.File, error)
	// Write writes the bytes of bufs at off, all of them or an error.
	Write(op Op, f *os.File, off int64, bufs ...[]byte) error
	// Read fills p from off; less than len(p) is an error.
	Read(op Op, f *os.File, off int64, p []byte) (int, error)
	// Truncate gives a new file its length.
	Truncate(op Op, f *os.File, size int64) error
	// Rename moves a file, over another one if there is one.
	Rename(op Op, from, to string) error
	// Remove removes a file.
	Remove(op Op, path string) error
	// List calls yield for each entry of a directory until it returns false.
	List(op Op, dir string, yield func(Info) bool) error
	// Stat says what List would say of an open file.
	Stat(op Op, f *os.File) (Info, error)
	// Touch sets the time of last use.
	Touch(op Op, path string, t time.Time) error
	// Space says how much is free where path is.
	Space(op Op, path string) (Space, error)
	// Resident reports whether n bytes at off are all in the page cache.
	Resident(f *os.File, off, n int64) bool
}

// OS is the operating system's FS.
type OS struct{}

// Mkdir implements FS.
func (OS) Mkdir(_ Op, path string) error { return os.MkdirAll(path, 0o700) }

// Open implements FS. Chunk files are opened without read-ahead: what the
// kernel reads unasked would be in the page cache without being verified.
func (OS) Open(op Op, path string, flag int) (*os.File, error) {
	if op != OpCreate && op != OpOpen {
		return os.OpenFile(path, flag, 0o600)
	}
	f, err := openChunk(path, flag)
	if err == nil {
		adviseRandom(f)
	}
	return f, err
}

// Memory implements FS.
func (OS) Memory(_ Op, name string) (*os.File, error) { return memoryFile(name) }

// Write implements FS. An id is synced, as nothing else is: a power cut must
// not leave a drive that nobody knows.
func (OS) Write(op Op, f *os.File, off int64, bufs ...[]byte) error {
	err := writeAll(f, off, bufs)
	if err == nil && op == OpIdent {
		err = f.Sync()
	}
	return err
}

// Read implements FS.
func (OS) Read(_ Op, f *os.File, off int64, p []byte) (int, error) { return f.ReadAt(p, off) }

// Truncate implements FS.
func (OS) Truncate(_ Op, f *os.File, size int64) error { return f.Truncate(size) }

// Rename implements FS.
func (OS) Rename(_ Op, from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(_ Op, path string) error { return os.Remove(path) }

// List implements FS.
func (OS) List(_ Op, dir string, yield func(Info) bool) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(512)
		for _, e := range entries {
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			if !yield(infoOf(fi)) {
				return nil
			}
		}
		if err != nil || len(entries) == 0 {
			return ignoreEOF(err)
		}
	}
}

// Stat implements FS.
func (OS) Stat(_ Op, f *os.File) (Info, error) {
	fi, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

// Touch implements FS.
func (OS) Touch(_ Op, path string, t time.Time) error { return os.Chtimes(path, t, t) }

// Space implements FS.
func (OS) Space(_ Op, path string) (Space, error) { return spaceAt(path) }

// Resident implements FS.
func (OS) Resident(f *os.File, off, n int64) bool { return resident(f, off, n) }
