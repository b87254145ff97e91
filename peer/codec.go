package peer

import (
	"encoding/binary"

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
	// head is the message without offset, data and sums; nil for a message of
	// data.
	head *peerv1.FillResponse
	// offset and data are those of the message. The receiver frees data.
	offset int64
	data   mem.BufferSlice
	// sums[:summed] are the checksums of data's blocks; 0 = none came.
	sums   [maxSums]uint32
	summed int
}

const (
	offsetField = protowire.Number(7)
	dataField   = protowire.Number(8)
	sumsField   = protowire.Number(9)
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
	} else {
		head = make([]byte, 0, headBytes)
	}
	if n := f.data.Len(); n > 0 {
		if f.summed > 0 {
			head = protowire.AppendTag(head, sumsField, protowire.BytesType)
			head = protowire.AppendVarint(head, uint64(4*f.summed))
			for _, sum := range f.sums[:f.summed] {
				head = protowire.AppendFixed32(head, sum)
			}
		}
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
// a message of data has only sums and offset before it.
const headBytes = 4*maxSums + 32

func unmarshalFrame(data mem.BufferSlice, f *frame) error {
	*f = frame{}
	var scratch [headBytes]byte
	if pos := f.takeHead(scratch[:copyHead(scratch[:], data)], data.Len()); pos > 0 {
		f.data = tail(data, pos)
		return nil
	}
	*f = frame{}
	b := data.MaterializeToBuffer(&buffers)
	defer b.Free()
	f.head = new(peerv1.FillResponse)
	if err := proto.Unmarshal(b.ReadOnlyData(), f.head); err != nil {
		return err
	}
	if len(f.head.GetData()) > 0 { // in an order of fields that we do not send
		f.offset = f.head.GetOffset()
		f.data = mem.BufferSlice{mem.SliceBuffer(f.head.GetData())}
		if len(f.head.GetSums()) <= maxSums {
			f.summed = copy(f.sums[:], f.head.GetSums())
		}
	}
	return nil
}

// takeHead reads what a message of data, of length bytes, has before its data,
// and returns where that begins; 0 = it is another message, or not in the form
// that we send.
func (f *frame) takeHead(head []byte, length int) int {
	pos := f.takeSums(head)
	num, typ, n := protowire.ConsumeTag(head[pos:])
	if n > 0 && num == offsetField && typ == protowire.VarintType { // others' encoders leave offset 0 out
		offset, m := protowire.ConsumeVarint(head[pos+n:])
		if m < 0 {
			return 0
		}
		f.offset = int64(offset)
		pos += n + m
		num, typ, n = protowire.ConsumeTag(head[pos:])
	}
	if n < 0 || num != dataField || typ != protowire.BytesType {
		return 0
	}
	pos += n
	size, n := protowire.ConsumeVarint(head[pos:])
	if pos += n; n < 0 || size == 0 || uint64(length-pos) != size {
		return 0
	}
	return pos
}

// takeSums reads the checksums that head begins with, and returns where they
// end; 0 where there are none in the form that we send.
func (f *frame) takeSums(head []byte) int {
	num, typ, n := protowire.ConsumeTag(head)
	if n < 0 || num != sumsField || typ != protowire.BytesType {
		return 0
	}
	packed, m := protowire.ConsumeBytes(head[n:])
	if m < 0 || len(packed)%4 != 0 || len(packed) > 4*maxSums {
		return 0
	}
	for f.summed = 0; len(packed) > 0; f.summed++ {
		f.sums[f.summed] = binary.LittleEndian.Uint32(packed)
		packed = packed[4:]
	}
	return n + m
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
