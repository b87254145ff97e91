package gateway

import (
	"bufio"
	"io"
	"net/http"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// readAnswer reads one response and all of its body.
func readAnswer(r *bufio.Reader, method string) answer {
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: body, close: resp.Close, err: err}
}
