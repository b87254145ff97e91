package peer

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
)

// scattered cuts b into buffers of n bytes, as a connection might.
func scattered(b []byte, n int) mem.BufferSlice {
	var out mem.BufferSlice
	for len(b) > 0 {
		k := min(n, len(b))
		part := bytes.Clone(b[:k])
		out = append(out, mem.NewBuffer(&part, mem.NopBufferPool{}))
		b = b[k:]
	}
	return out
}

// A frame is the message on the wire: each reads what the other wrote.
func TestFrameEqualsMessage(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	for _, m := range []*peerv1.FillResponse{
		{},
		{State: peerv1.FillResponse_STATE_ORIGIN},
		{Done: true},
		{Record: &peerv1.Record{Version: &peerv1.Version{Etag: `"x"`, Size: 7}}},
		{Offset: 3 << 20, Data: data},
		{Data: data}, // offset 0 is not on the wire
		{Offset: 1 << 40, Data: data[:1]},
		{State: peerv1.FillResponse_STATE_DISK, Offset: 64 << 10, Data: data},
		{Offset: 3 << 20, Data: data, Sums: []uint32{1, 1 << 31}}, // an order of fields that we do not send
	} {
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int{1, 3, 1000, 1 << 20} {
			var f frame
			if err := (codec{}).Unmarshal(scattered(wire, cut), &f); err != nil {
				t.Fatalf("read %v cut by %d: %v", m.GetState(), cut, err)
			}
			if !slices.Equal(f.sums[:f.summed], m.GetSums()) {
				t.Errorf("cut by %d: checksums %v, want %v", cut, f.sums[:f.summed], m.GetSums())
			}
			if f.offset != m.GetOffset() && len(m.GetData()) > 0 || !bytes.Equal(f.data.Materialize(), m.GetData()) {
				t.Errorf("cut by %d: offset %d and %d bytes, want %d and %d", cut, f.offset, f.data.Len(), m.GetOffset(), len(m.GetData()))
			}
			if f.head != nil && f.head.GetState() != m.GetState() {
				t.Errorf("state %v, want %v", f.head.GetState(), m.GetState())
			}
		}
	}
}

// What a frame is sent as reads as the message, and as a frame, with and without
// checksums.
func TestFrameReadsAsMessage(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	for summed := range maxSums + 1 {
		checkSent(t, data, summed)
	}
}

func checkSent(t *testing.T, data []byte, summed int) {
	t.Helper()
	sent := &frame{offset: 5 << 20, data: mem.BufferSlice{mem.SliceBuffer(data[:100]), mem.SliceBuffer(data[100:])}, summed: summed}
	for i := range summed {
		sent.sums[i] = uint32(i) << 28
	}
	wire, err := codec{}.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var m peerv1.FillResponse
	if err := (codec{}).Unmarshal(wire, &m); err != nil {
		t.Fatal(err)
	}
	if m.GetOffset() != 5<<20 || !bytes.Equal(m.GetData(), data) || !slices.Equal(m.GetSums(), sent.sums[:summed]) {
		t.Errorf("a frame reads as offset %d with %d bytes and the checksums %v", m.GetOffset(), len(m.GetData()), m.GetSums())
	}
	for _, cut := range []int{1, 40, 1 << 20} {
		var f frame
		if err := (codec{}).Unmarshal(scattered(wire.Materialize(), cut), &f); err != nil {
			t.Fatal(err)
		}
		if f.head != nil || f.offset != 5<<20 || !bytes.Equal(f.data.Materialize(), data) || f.summed != summed || f.sums != sent.sums {
			t.Errorf("a frame with %d checksums, cut by %d, reads as offset %d, %d bytes, %d checksums", summed, cut, f.offset, f.data.Len(), f.summed)
		}
	}
}

// countingPool counts the memory that is lent out, and panics where some comes
// back twice.
type countingPool struct {
	out  int
	back map[*[]byte]bool
}

func (p *countingPool) Get(n int) *[]byte {
	p.out++
	b := make([]byte, n)
	return &b
}

func (p *countingPool) Put(b *[]byte) {
	if p.back[b] {
		panic("memory came back twice")
	}
	if p.back == nil {
		p.back = make(map[*[]byte]bool)
	}
	p.back[b] = true
	p.out--
}

// A frame's data keeps the connection's memory until it is freed, and not
// longer.
func TestFrameHoldsItsMemory(t *testing.T) {
	wire, err := proto.Marshal(&peerv1.FillResponse{Offset: 1 << 20, Data: bytes.Repeat([]byte{7}, 256<<10)})
	if err != nil {
		t.Fatal(err)
	}
	pool := new(countingPool)
	var in mem.BufferSlice
	for off := 0; off < len(wire); off += 16 << 10 {
		in = append(in, mem.Copy(wire[off:min(off+16<<10, len(wire))], pool))
	}
	lent := pool.out
	var f frame
	if err := (codec{}).Unmarshal(in, &f); err != nil {
		t.Fatal(err)
	}
	in.Free() // as grpc does after decoding
	if pool.out == 0 || pool.out > lent {
		t.Errorf("%d buffers lent while the frame is read, of %d", pool.out, lent)
	}
	for _, b := range f.data.Materialize() {
		if b != 7 {
			t.Fatal("data changed under the reader")
		}
	}
	f.data.Free()
	if pool.out > 1 { // a last buffer below grpc's threshold is not pooled
		t.Errorf("%d buffers are still lent", pool.out)
	}
}

func FuzzFrame(f *testing.F) {
	for _, m := range []*peerv1.FillResponse{{}, {Done: true}, {Offset: 9, Data: []byte("abc")}, {Data: []byte("x")},
		{Offset: 9, Data: []byte("abc"), Sums: []uint32{7}}} {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, 3)
	}
	sent, err := codec{}.Marshal(&frame{offset: 9, data: mem.BufferSlice{mem.SliceBuffer("abc")}, sums: [maxSums]uint32{7, 8}, summed: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sent.Materialize(), 5)
	f.Fuzz(func(t *testing.T, wire []byte, cut int) {
		if cut <= 0 || cut > 1<<20 {
			cut = 7
		}
		var got frame
		var want peerv1.FillResponse
		err, wantErr := (codec{}).Unmarshal(scattered(wire, cut), &got), proto.Unmarshal(wire, &want)
		if err != nil {
			return // a frame may be stricter than the message
		}
		if wantErr != nil {
			t.Fatalf("a frame took what is no message: %v", wantErr)
		}
		if !bytes.Equal(got.data.Materialize(), want.GetData()) || len(want.GetData()) > 0 && got.offset != want.GetOffset() {
			t.Fatalf("frame has %d bytes at %d, message %d at %d", got.data.Len(), got.offset, len(want.GetData()), want.GetOffset())
		}
		if got.data.Len() > 0 && len(want.GetSums()) <= maxSums && !slices.Equal(got.sums[:got.summed], want.GetSums()) {
			t.Fatalf("frame has checksums %v, message %v", got.sums[:got.summed], want.GetSums())
		}
	})
}
