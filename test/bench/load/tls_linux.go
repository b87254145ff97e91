package load

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// TLSClient is a connection under TLS 1.3 that opens of each answer the records
// of its head and counts the others: to open all of them would make the client
// what is measured.
type TLSClient struct {
	conn *net.TCPConn
	tls  *tls.Conn // writes requests, and reads nothing after the handshake
	aead cipher.AEAD
	iv   []byte
	seq  uint64 // of the next record

	in       []byte
	from, to int // what of it was not looked at
}

const (
	recordHead = 5
	recordMost = recordHead + 16<<10 + 256
	// sealOverhead is what a sealed record is longer than what it carries.
	sealOverhead = 16 + 1
)

// DialTLS connects to addr. The cipher is AES-128-GCM, or it fails.
func DialTLS(ctx context.Context, addr string, cfg *tls.Config) (*TLSClient, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	secrets := &keyLog{}
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.KeyLogWriter = tls.VersionTLS13, secrets
	c := &TLSClient{conn: raw.(*net.TCPConn), tls: tls.Client(raw, cfg), in: make([]byte, 256<<10)}
	if err := c.tls.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if suite := c.tls.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		return nil, errors.Join(fmt.Errorf("the server chose %s", tls.CipherSuiteName(suite)), raw.Close())
	}
	if err := c.keys(secrets.server()); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return c, nil
}

// Close ends the connection, and a request that waits on it.
func (c *TLSClient) Close() { _ = c.conn.Close() }

// Get is that of Client.
func (c *TLSClient) Get(request []byte, status string, n int64, moved func(int64)) error {
	if _, err := c.tls.Write(request); err != nil {
		return err
	}
	head, err := c.head()
	if err != nil {
		return err
	}
	end := bytes.Index(head, []byte("\r\n\r\n")) + 4
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 "+status)) {
		return fmt.Errorf("not %s: %q", status, head[:end])
	}
	if length, err := contentLength(head[:end]); err != nil {
		return err
	} else if length != n {
		return fmt.Errorf("Content-Length %d, not %d", length, n)
	}
	left := n - int64(len(head)-end)
	moved(n - left)
	for left > 0 {
		record, err := c.record()
		if err != nil {
			return err
		}
		c.seq++
		carried := int64(len(record) - recordHead - sealOverhead)
		left -= carried
		moved(carried)
	}
	if left < 0 {
		return fmt.Errorf("%d bytes follow the body", -left)
	}
	return nil
}

// head opens records until they hold a whole head.
func (c *TLSClient) head() ([]byte, error) {
	var head []byte
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		record, err := c.record()
		if err != nil {
			return nil, err
		}
		nonce := bytes.Clone(c.iv)
		for i := range 8 {
			nonce[len(nonce)-1-i] ^= byte(c.seq >> (8 * i))
		}
		c.seq++
		plain, err := c.aead.Open(nil, nonce, record[recordHead:], record[:recordHead])
		if err != nil {
			return nil, fmt.Errorf("open a record: %w", err)
		}
		plain = bytes.TrimRight(plain, "\x00")
		const data, ticket = 23, 22
		switch kind := plain[len(plain)-1]; kind {
		case data:
			head = append(head, plain[:len(plain)-1]...)
		case ticket:
		default:
			return nil, fmt.Errorf("a record of kind %d", kind)
		}
	}
	return head, nil
}

// record returns the next record, valid until the next call.
func (c *TLSClient) record() ([]byte, error) {
	for {
		have := c.in[c.from:c.to]
		if len(have) >= recordHead {
			if n := recordHead + int(binary.BigEndian.Uint16(have[3:])); n > recordMost {
				return nil, fmt.Errorf("a record of %d bytes", n)
			} else if len(have) >= n {
				c.from += n
				return have[:n], nil
			}
		}
		if c.from > 0 && len(c.in)-c.from < recordMost {
			c.to = copy(c.in, have)
			c.from = 0
		}
		n, err := c.conn.Read(c.in[c.to:])
		if c.to += n; n == 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// keys derives what opens records (RFC 8446 section 7.3).
func (c *TLSClient) keys(secret []byte) error {
	expand := func(label string, n int) ([]byte, error) {
		label = "tls13 " + label
		info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
		return hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	}
	key, err := expand("key", 16)
	if err != nil {
		return err
	}
	if c.iv, err = expand("iv", 12); err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	c.aead, err = cipher.NewGCM(block)
	return err
}

// keyLog takes the secrets of one connection.
type keyLog struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (k *keyLog) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(p)
}

// server returns the secret of what the server sends.
func (k *keyLog) server() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range strings.Lines(k.text.String()) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "SERVER_TRAFFIC_SECRET_0" {
			secret, _ := hex.DecodeString(fields[2])
			return secret
		}
	}
	return nil
}
