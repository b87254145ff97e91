package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// errPartitioned is what a stream to an address gets that Config.Allow
// refuses.
var errPartitioned = errors.New("address is cut off")

// transport is memberlist's way to the network. In contrast to the library's
// own it starts no goroutine before start, and it can be cut off.
type transport struct {
	tcp       *net.TCPListener
	udp       *net.UDPConn
	advertise netip.AddrPort
	allow     func(string) bool
	log       *slog.Logger

	packets chan *memberlist.Packet
	streams chan net.Conn
	open    streams
	done    chan struct{}
	stop    sync.Once
	wg      sync.WaitGroup
}

// listen binds TCP and UDP to one port.
func listen(bind, advertise netip.AddrPort, allow func(string) bool, log *slog.Logger) (*transport, error) {
	t := &transport{
		advertise: advertise, allow: allow, log: log,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), done: make(chan struct{}),
	}
	if allow == nil {
		t.allow = func(string) bool { return true }
	}
	// A free TCP port is not always a free UDP port.
	attempts := 1
	if bind.Port() == 0 {
		attempts = 16
	}
	var err error
	for range attempts {
		if t.tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(bind)); err != nil {
			return nil, fmt.Errorf("bind gossip: %w", err)
		}
		at := netip.AddrPortFrom(bind.Addr(), t.port())
		if t.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err == nil {
			break
		}
		_ = t.tcp.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("bind gossip: %w", err)
	}
	// The kernel may refuse the larger buffer; then its own serves.
	_ = t.udp.SetReadBuffer(1 << 20)
	switch {
	case t.advertise.IsValid() && t.advertise.Port() == 0:
		t.advertise = netip.AddrPortFrom(t.advertise.Addr(), t.port())
	case !t.advertise.IsValid() && bind.Addr().IsUnspecified():
		_ = t.Shutdown()
		return nil, fmt.Errorf("bind gossip: %s is every address: say which one others reach (gossip_advertise)", bind)
	case !t.advertise.IsValid():
		t.advertise = netip.AddrPortFrom(bind.Addr().Unmap(), t.port())
	}
	return t, nil
}

// bound returns the address of the sockets.
func (t *transport) bound() netip.AddrPort {
	ap := t.tcp.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (t *transport) port() uint16 { return t.bound().Port() }

func (t *transport) start() {
	t.wg.Go(t.accept)
	t.wg.Go(t.receive)
}

func (t *transport) accept() {
	for {
		conn, err := t.tcp.AcceptTCP()
		if err != nil {
			if t.closed() {
				return
			}
			t.log.Warn("accept gossip stream", "err", err)
			select {
			case <-time.After(50 * time.Millisecond): // out of descriptors, most likely
				continue
			case <-t.done:
				return
			}
		}
		bounded := t.open.add(conn)
		select {
		case t.streams <- bounded:
		case <-t.done:
			_ = bounded.Close()
			return
		}
	}
}

func (t *transport) receive() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if t.closed() {
				return
			}
			// A report of an earlier packet that was refused, on some systems.
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if n == 0 || !t.allow(from.String()) {
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case t.packets <- p:
		case <-t.done:
			return
		}
	}
}

func (t *transport) closed() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// FinalAdvertiseAddr returns the address that others are told.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// WriteTo sends a packet; one that is cut off is lost, as packets are.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress is WriteTo.
func (t *transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr.Addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("send gossip: %w", err)
	}
	if t.allow(addr.Addr) {
		_, err = t.udp.WriteToUDPAddrPort(b, to)
	}
	return time.Now(), err
}

// DialTimeout opens a stream.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	if !t.allow(addr) {
		return nil, fmt.Errorf("dial %s: %w", addr, errPartitioned)
	}
	return net.DialTimeout("tcp", addr, timeout)
}

// DialAddressTimeout is DialTimeout.
func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(addr.Addr, timeout)
}

// PacketCh gives the packets that came.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh gives the streams that came.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown closes both sockets and waits for the goroutines.
func (t *transport) Shutdown() error {
	var err error
	t.stop.Do(func() {
		close(t.done)
		err = errors.Join(t.tcp.Close(), t.udp.Close())
		t.wg.Wait()
	})
	return err
}
