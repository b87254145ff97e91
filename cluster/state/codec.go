package state

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// Format is the format of an encoded State and of an encoded Command that this
// release writes. It reads that and every lower one. Whoever changes what a
// command does raises it, and writes the new one only once the cluster version
// says that every node reads it.
const Format = 1

// MaxCommand bounds an encoded Command in bytes, MaxState an encoded State.
const (
	MaxCommand = 1 << 20
	MaxState   = 256 << 20
)

// Marshal returns s in the present format, never nil. Equal States give equal
// bytes within one release.
func Marshal(s *State) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(stateTo(s))
	if err != nil {
		// Only a string that is no UTF-8 gets here, and Apply lets none in.
		return []byte{}
	}
	return b
}

// Unmarshal reads a State of this format or an older one. ErrVersion: a newer
// release wrote it; ErrInvalid: it is damaged. It never panics and keeps no
// reference to b.
func Unmarshal(b []byte) (*State, error) {
	if len(b) > MaxState {
		return nil, fmt.Errorf("%w state: %d bytes", ErrInvalid, len(b))
	}
	var p clusterv1.State
	if err := proto.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%w state: %w", ErrInvalid, err)
	}
	if p.GetFormat() > Format {
		return nil, fmt.Errorf("%w: state of format %d", ErrVersion, p.GetFormat())
	}
	if p.GetFormat() == 0 {
		return nil, fmt.Errorf("%w state: it names no format", ErrInvalid)
	}
	if err := known(p.ProtoReflect()); err != nil {
		return nil, err
	}
	return stateFrom(&p), nil
}

// Encode returns c stamped with timeUnix, as it goes into the log: a value of
// one of this package's command types, not a pointer. A command on its way to
// the leader is not stamped yet: 0.
func Encode(c Command, timeUnix int64) ([]byte, error) {
	p := &clusterv1.Command{Format: Format, TimeUnix: timeUnix}
	if err := commandTo(c, p); err != nil {
		return nil, err
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("%w command: %w", ErrInvalid, err)
	}
	if len(b) > MaxCommand {
		return nil, fmt.Errorf("%w: a command of %d bytes; %d are the most", ErrInvalid, len(b), MaxCommand)
	}
	return b, nil
}

// Decode reads what Encode wrote: the command and its stamp. ErrVersion: a
// newer release wrote it, or it holds what this one does not know; a node that
// finds such a command in its log must stop applying. ErrInvalid: it is
// damaged. It never panics and keeps no reference to b.
func Decode(b []byte) (Command, int64, error) {
	var p clusterv1.Command
	if err := proto.Unmarshal(b, &p); err != nil {
		return nil, 0, fmt.Errorf("%w command: %w", ErrInvalid, err)
	}
	if p.GetFormat() > Format {
		return nil, 0, fmt.Errorf("%w: command of format %d", ErrVersion, p.GetFormat())
	}
	if p.GetFormat() == 0 {
		return nil, 0, fmt.Errorf("%w command: it names no format", ErrInvalid)
	}
	if err := known(p.ProtoReflect()); err != nil {
		return nil, 0, err
	}
	c, err := commandFrom(&p)
	return c, p.GetTimeUnix(), err
}

// known refuses a message with a field or an enumeration's value that this
// release does not know, at any depth.
func known(m protoreflect.Message) error {
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("%w: unknown field in %s", ErrVersion, m.Descriptor().Name())
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = known(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			err = known(v.Message())
		case f.Enum() != nil && f.Enum().Values().ByNumber(v.Enum()) == nil:
			err = fmt.Errorf("%w: unknown value of %s", ErrVersion, f.Name())
		}
		return err == nil
	})
	return err
}
