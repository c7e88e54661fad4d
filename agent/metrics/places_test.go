package metrics

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestReadersThatDoNotReadHoldUpNoScrape has more readers than places, which request a
// large answer and leave it unread, over and over.
func TestReadersThatDoNotReadHoldUpNoScrape(t *testing.T) {
	t.Parallel()
	f := NewFormat(defaultAgent())
	snapshot := Snapshot{Parents: sampleParents()}
	for i := range 20_000 {
		snapshot.Rows = append(snapshot.Rows, rowOf(f, fmt.Sprintf("c%d", i), "lan", 1))
		snapshot.Series = append(snapshot.Series, Range{int32(i), int32(i + 1)})
	}
	rows := snapshot.Rows
	s := httptest.NewServer(NewHandler(f, "", func(into *Snapshot) error {
		*into = snapshot
		into.Rows = append([]Row(nil), rows...) // the handler clears them
		return nil
	}))
	defer s.Close()
	for range 2 * atOnce {
		go stallReader(t, s.Listener.Addr().String())
	}
	client := &http.Client{Timeout: time.Minute}
	for range 5 {
		answer, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || n < 1<<20 {
			t.Errorf("status %d, %d bytes, %v", answer.StatusCode, n, err)
		}
	}
}

// stallReader sends a request without reading the answer, again as soon as the connection is closed.
func stallReader(t *testing.T, address string) {
	for t.Context().Err() == nil {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = c.(*net.TCPConn).SetReadBuffer(2048)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		select {
		case <-time.After(2 * time.Second):
		case <-t.Context().Done():
		}
		c.Close()
	}
}
