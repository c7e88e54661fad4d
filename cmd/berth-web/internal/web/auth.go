package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"berth/internal/regular"
)

// cookieName is the name of the session's cookie. Browsers share the cookies of a host
// between its ports, so the name is berth's own.
const cookieName = "berth_web"

// minToken is the length of the shortest accepted token.
const minToken = 16

// maxToken bounds the bytes of a file with a token.
const maxToken = 4 << 10

// NewToken returns a random token.
func NewToken() string { return strings.ToLower(rand.Text()) }

// LoadToken returns the token in a file, and creates the file with a new token if it does
// not exist.
func LoadToken(path string) (string, error) {
	text, err := regular.Read(path, maxToken)
	if errors.Is(err, fs.ErrNotExist) {
		return createToken(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("token in %q: want one line of at least %d characters without spaces; delete the file to "+
			"have a new one made", path, minToken)
	}
	return token, nil
}

func createToken(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("create the token: %w", err)
	}
	token := NewToken()
	_, err = fmt.Fprintln(f, token)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write the token: %w", errors.Join(err, os.Remove(path)))
	}
	return token, nil
}

// Guard decides which requests are answered.
type Guard struct {
	Token string
	Hosts []string // names and addresses by which the page may be opened, beside those of loopback
	TLS   bool     // the page is served by TLS
}

// session returns the value of the session's cookie. It derives from the token, so that
// viewers stay logged in when the program is restarted.
func (g *Guard) session() string {
	mac := hmac.New(sha256.New, []byte(g.Token))
	mac.Write([]byte("berth-web session"))
	return hex.EncodeToString(mac.Sum(nil))
}

// hostAllowed reports whether a Host header names this server. A page of another name
// that resolves to this address (DNS rebinding) has another Host.
func (g *Guard) hostAllowed(host string) bool {
	u := url.URL{Host: host}
	name := u.Hostname()
	if ip := net.ParseIP(name); ip != nil && ip.IsLoopback() {
		return true
	}
	return name == "localhost" || slices.ContainsFunc(g.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// originAllowed reports whether a request comes from the page itself, or from a person who
// opened the address.
func originAllowed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return isNavigation(r)
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Method != http.MethodPost || r.Header.Get("Sec-Fetch-Site") != ""
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// isNavigation reports whether a person followed a link of another site to the page. The
// page holds no data, and the session's cookie is not sent with such a request.
func isNavigation(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// Check wraps all routes: it refuses foreign hosts and origins, and sets the headers that
// keep the page to itself.
func (g *Guard) Check(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "+
			"'none'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // a stream moves it
		switch {
		case !g.hostAllowed(r.Host):
			http.Error(w, fmt.Sprintf("host %q is not served; start berth-web with --host to allow it", r.Host),
				http.StatusMisdirectedRequest)
		case !originAllowed(r):
			http.Error(w, "requests of other sites are refused", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// needSession wraps the routes with data.
func (g *Guard) needSession(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(cookieName)
		if err != nil || !hmac.Equal([]byte(c.Value), []byte(g.session())) {
			http.Error(w, "no session; open the address that `berth web` prints", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// startSession exchanges the token for the session's cookie.
func (g *Guard) startSession(w http.ResponseWriter, r *http.Request) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !hmac.Equal([]byte(given), []byte(g.Token)) {
		http.Error(w, "the token is wrong; open the address that `berth web` prints", http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: g.session(), Path: "/",
		HttpOnly: true, Secure: g.TLS, SameSite: http.SameSiteStrictMode,
	})
	w.WriteHeader(http.StatusNoContent)
}
