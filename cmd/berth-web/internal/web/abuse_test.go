package web

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"berth/specs"
)

// dialPage opens a connection without a request.
func dialPage(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestManyConnections requires that the page answers while others hold connections open that
// request nothing, and that these are closed.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	f.set(nil, endpointOf("web", 1))
	address := serveFake(t, f)
	var idle []net.Conn
	for range 300 { // each takes two files of this process
		idle = append(idle, dialPage(t, address))
	}
	waitMessage(t, openFeed(t, address), "the whole view", func(m Message) bool { return m.Full })
	for _, c := range idle {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("an idle connection has an answer, want its end")
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatal("an idle connection was not closed")
		}
	}
}

// TestViewersAreBounded opens as many streams as are permitted, and one more.
func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	h := NewHub(&fakeAgent{events: make(chan specs.Event)})
	for range maxViewers {
		if _, err := h.join(); err != nil {
			t.Fatal(err)
		}
	}
	g := &Guard{Token: testToken}
	server := httptest.NewServer(NewHandler(g, h))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName, Value: g.session()})
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "close one") {
		t.Errorf("one viewer too many: %s %s %v", answer.Status, text, err)
	}
}

// TestRequestsOfAnyForm sends requests that no browser sends. The page refuses each, and serves
// the next.
func TestRequestsOfAnyForm(t *testing.T) {
	t.Parallel()
	address := serveFake(t, &fakeAgent{events: make(chan specs.Event)})
	host := "Host: " + strings.TrimPrefix(address, "http://") + "\r\n"
	for name, request := range map[string]string{
		"huge header":      "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"many headers":     "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 1<<16) + "\r\n",
		"no host":          "GET / HTTP/1.1\r\n\r\n",
		"two hosts":        "GET / HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n",
		"foreign address":  "GET http://evil.example/ HTTP/1.1\r\n" + host + "\r\n",
		"rebound name":     "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"path of a parent": "GET /../../etc/passwd HTTP/1.1\r\n" + host + "\r\n",
		"another method":   "DELETE /feed HTTP/1.1\r\n" + host + "\r\n",
		"nonsense":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	} {
		c := dialPage(t, address)
		go func() {
			_, _ = io.WriteString(c, request) // the page may close the connection before it has all
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		text, _ := io.ReadAll(io.LimitReader(c, 1<<10))
		if strings.HasPrefix(string(text), "HTTP/1.1 2") || strings.Contains(string(text), "root:") {
			t.Errorf("%s: %.200q", name, text)
		}
	}
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the request after them: %s", answer.Status)
	}
}

// TestSlowReader opens a stream that is never read, beside one that is.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	var all []specs.Endpoint
	for i := range 2000 {
		all = append(all, endpointOf(fmt.Sprint("c", i), uint64(i)))
	}
	f.set(nil, all...)
	address := serveFake(t, f)
	c := dialPage(t, address)
	_, err := fmt.Fprintf(c, "GET /feed HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n\r\n",
		strings.TrimPrefix(address, "http://"), cookieName, (&Guard{Token: testToken}).session())
	if err != nil {
		t.Fatal(err)
	}
	messages := openFeed(t, address)
	for i := range 4 {
		waitMessage(t, messages, fmt.Sprint("update ", i), func(Message) bool { return true })
	}
}
