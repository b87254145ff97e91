package peer

import (
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto" // registers grpc's own
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
)

// frame is a FillResponse whose data is not copied: it is the memory that was
// read from the chunk file, or that came from the connection. It is equal on
// the wire to the message.
type frame struct {
	// head is the message without offset and data; nil for a message of data.
	head *peerv1.FillResponse
	// offset and data are those of the message. The receiver frees data.
	offset int64
	data   mem.BufferSlice
}

const (
	offsetField = protowire.Number(7)
	dataField   = protowire.Number(8)
)

// codec encodes frames without copying their data, and all other messages as
// grpc's own codec for protobuf does. It has no state.
type codec struct{}

// Name returns the content-subtype: the bytes on the wire are protobuf's.
func (codec) Name() string { return "proto" }

// Marshal encodes v. A frame's data is handed on with its reference.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *frame:
		return marshalFrame(m)
	default:
		return encoding.GetCodecV2(protocodec.Name).Marshal(v)
	}
}

func marshalFrame(f *frame) (mem.BufferSlice, error) {
	var head []byte
	if f.head != nil {
		var err error
		if head, err = proto.Marshal(f.head); err != nil {
			return nil, err
		}
	}
	if n := f.data.Len(); n > 0 {
		head = protowire.AppendTag(head, offsetField, protowire.VarintType)
		head = protowire.AppendVarint(head, uint64(f.offset))
		head = protowire.AppendTag(head, dataField, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(n))
	}
	out := make(mem.BufferSlice, 0, 1+len(f.data))
	out = append(out, mem.SliceBuffer(head))
	return append(out, f.data...), nil
}

// Unmarshal decodes data into v; a frame keeps references to data's buffers.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *frame:
		return unmarshalFrame(data, m)
	default:
		return encoding.GetCodecV2(protocodec.Name).Unmarshal(data, v)
	}
}

// headBytes is how much of a message is looked at for the fields before data:
// a message of data has only offset before it.
const headBytes = 64

func unmarshalFrame(data mem.BufferSlice, f *frame) error {
	*f = frame{}
	var scratch [headBytes]byte
	head := scratch[:copyHead(scratch[:], data)]
	num, typ, n := protowire.ConsumeTag(head)
	if n > 0 && num == offsetField && typ == protowire.VarintType {
		return unmarshalData(data, head, n, f)
	}
	if n > 0 && num == dataField && typ == protowire.BytesType { // offset 0 is left out by others' encoders
		return unmarshalData(data, head, 0, f)
	}
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	f.head = new(peerv1.FillResponse)
	if err := proto.Unmarshal(b.ReadOnlyData(), f.head); err != nil {
		return err
	}
	if len(f.head.GetData()) > 0 { // in an order of fields that we do not send
		f.offset = f.head.GetOffset()
		f.data = mem.BufferSlice{mem.SliceBuffer(f.head.GetData())}
	}
	return nil
}

// unmarshalData takes a message of offset and data, whose offset begins at at
// (0 = it has none).
func unmarshalData(data mem.BufferSlice, head []byte, at int, f *frame) error {
	pos := 0
	if at > 0 {
		offset, n := protowire.ConsumeVarint(head[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		f.offset = int64(offset)
		pos = at + n
	}
	num, typ, n := protowire.ConsumeTag(head[pos:])
	if n < 0 {
		return protowire.ParseError(n)
	}
	if num != dataField || typ != protowire.BytesType {
		return errBadMessage
	}
	pos += n
	length, n := protowire.ConsumeVarint(head[pos:])
	if n < 0 {
		return protowire.ParseError(n)
	}
	pos += n
	if uint64(data.Len()-pos) != length {
		return errBadMessage
	}
	f.data = tail(data, pos)
	return nil
}

func copyHead(dst []byte, data mem.BufferSlice) int {
	n := 0
	for _, b := range data {
		n += copy(dst[n:], b.ReadOnlyData())
		if n == len(dst) {
			break
		}
	}
	return n
}

// tail returns the bytes of data after the first skip, with a reference of
// their own.
func tail(data mem.BufferSlice, skip int) mem.BufferSlice {
	out := make(mem.BufferSlice, 0, len(data))
	for _, b := range data {
		if skip >= b.Len() {
			skip -= b.Len()
			continue
		}
		if skip == 0 {
			b.Ref()
			out = append(out, b)
			continue
		}
		out = append(out, b.Slice(skip, b.Len()))
		skip = 0
	}
	return out
}
