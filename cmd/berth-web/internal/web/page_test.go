package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// mostBytes is the most that a browser loads for the first view, each file compressed.
const mostBytes = 80 << 10

func TestPageIsSmall(t *testing.T) {
	total := 0
	eachPageFile(t, func(name string, text []byte) {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		w.Write(text)
		w.Close()
		total += packed.Len()
	})
	if total > mostBytes {
		t.Errorf("the page has %d bytes compressed, want at most %d", total, mostBytes)
	}
}

// svgSpace is the name of SVG's elements, and no address that a browser asks.
const svgSpace = "http://www.w3.org/2000/svg"

var (
	foreign = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	inserts = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function`)
	inline  = regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+=|\sstyle="`)
)

// TestPageIsItsOwn looks for addresses of other servers, for text that would become
// markup, and for scripts and styles that the Content-Security-Policy forbids.
func TestPageIsItsOwn(t *testing.T) {
	eachPageFile(t, func(name string, text []byte) {
		if found := foreign.Find(bytes.ReplaceAll(text, []byte(svgSpace), nil)); found != nil {
			t.Errorf("%s names another server: %s", name, found)
		}
		if found := inserts.Find(text); found != nil {
			t.Errorf("%s makes markup of text: %s", name, found)
		}
		if found := inline.Find(text); found != nil && strings.HasSuffix(name, ".html") {
			t.Errorf("%s has what the Content-Security-Policy forbids: %s", name, found)
		}
	})
}

func eachPageFile(t *testing.T, fn func(name string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(pageFiles(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(pageFiles(), name)
		fn(name, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPageIsCompressedAndKept requests a file as a browser does: compressed, and again with the
// tag of the kept one.
func TestPageIsCompressedAndKept(t *testing.T) {
	h := newPage(pageFiles())
	get := func(header, value string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/app.js", nil)
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	plain, err := fs.ReadFile(pageFiles(), "app.js")
	if err != nil {
		t.Fatal(err)
	}
	packed := get("Accept-Encoding", "br, gzip;q=0.8")
	unpacked, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %v", packed.Header(), err)
	}
	if text, err := io.ReadAll(unpacked); err != nil || !bytes.Equal(text, plain) {
		t.Errorf("the compressed file differs: %v", err)
	}
	if w := get("Accept-Encoding", "gzip;q=0"); w.Header().Get("Content-Encoding") != "" || !bytes.Equal(w.Body.Bytes(), plain) {
		t.Errorf("a client that refuses gzip has %v", w.Header())
	}
	if w := get("If-None-Match", packed.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("the kept file: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := get("If-None-Match", `"old"`); w.Code != http.StatusOK {
		t.Errorf("an old file: %d", w.Code)
	}
}
