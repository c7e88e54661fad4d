package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testToken = "abcdefghijklmnopqrstuvwxyz"

// requestPage sends a request to a server whose agent does not answer.
func requestPage(t *testing.T, g *Guard, method, target string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	NewHandler(g, NewHub(nil)).ServeHTTP(w, r)
	return w.Result()
}

func TestRequestsThatAreRefused(t *testing.T) {
	g := &Guard{Token: testToken, Hosts: []string{"lan.example"}}
	bearer := "Bearer " + testToken
	for _, c := range []struct {
		name, method, target string
		header               map[string]string
		want                 int
	}{
		{"page", "GET", "http://127.0.0.1:9478/", nil, 200},
		{"page by IPv6", "GET", "http://[::1]:9478/", nil, 200},
		{"page by an allowed name", "GET", "http://LAN.example/", nil, 200},
		{"page by a rebound name", "GET", "http://evil.example:9478/", nil, 421},
		{"page by a name that begins as an allowed one", "GET", "http://localhost.evil.example/", nil, 421},
		{"feed without session", "GET", "http://localhost:9478/feed", nil, 401},
		{"feed with a wrong session", "GET", "http://localhost:9478/feed", map[string]string{"Cookie": cookieName + "=" + testToken}, 401},
		{"feed by another site", "GET", "http://localhost:9478/feed", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"link of another site", "GET", "http://localhost:9478/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		{"script of another site", "GET", "http://localhost:9478/app.js", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"session by another origin", "POST", "http://localhost:9478/session",
			map[string]string{"Authorization": bearer, "Origin": "http://evil.example"}, 403},
		{"session by the same host on another port", "POST", "http://localhost:9478/session",
			map[string]string{"Authorization": bearer, "Origin": "http://localhost:8080"}, 403},
		{"session without origin", "POST", "http://localhost:9478/session", map[string]string{"Authorization": bearer}, 403},
		{"session with the origin null", "POST", "http://localhost:9478/session",
			map[string]string{"Authorization": bearer, "Origin": "null"}, 403},
		{"session with a wrong token", "POST", "http://localhost:9478/session",
			map[string]string{"Authorization": "Bearer " + testToken + "x", "Origin": "http://localhost:9478"}, 401},
		{"session without token", "POST", "http://localhost:9478/session", map[string]string{"Origin": "http://localhost:9478"}, 401},
		{"change", "POST", "http://localhost:9478/feed", map[string]string{"Origin": "http://localhost:9478"}, 405},
	} {
		answer := requestPage(t, g, c.method, c.target, c.header)
		if answer.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, answer.StatusCode, c.want)
		}
		if csp := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'self'; ") {
			t.Errorf("%s: Content-Security-Policy %q", c.name, csp)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	for _, tls := range []bool{false, true} {
		g := &Guard{Token: testToken, TLS: tls}
		answer := requestPage(t, g, "POST", "http://localhost:9478/session",
			map[string]string{"Authorization": "Bearer " + testToken, "Origin": "http://localhost:9478"})
		cookies := answer.Cookies()
		if answer.StatusCode != http.StatusNoContent || len(cookies) != 1 {
			t.Fatalf("status %d, cookies %v", answer.StatusCode, cookies)
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != tls || strings.Contains(c.Value, testToken) {
			t.Errorf("cookie %v with TLS %t", c, tls)
		}
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	first, err := LoadToken(path)
	if err != nil || len(first) < minToken {
		t.Fatalf("token %q, %v", first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if again, err := LoadToken(path); err != nil || again != first {
		t.Errorf("second token %q, %v; want the first, %q", again, err, first)
	}
	for _, bad := range []string{"", "short\n", "two words that are long enough\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadToken(path); err == nil || !strings.Contains(err.Error(), "delete the file") {
			t.Errorf("token %q: error %v", bad, err)
		}
	}
}

func TestListenNeedsTLSBeyondLoopback(t *testing.T) {
	if l, err := Listen("0.0.0.0:0", false); err == nil || !strings.Contains(err.Error(), "--tls-cert") {
		t.Errorf("listening on every address without TLS: %v, %v", l, err)
	}
	for address, tls := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		l, err := Listen(address, tls)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		l.Close()
	}
}
