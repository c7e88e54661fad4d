package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

// page serves the files of the page. They are in memory, plain and compressed, and a browser
// that has the newest version gets no content again.
type page struct{ files map[string]pageFile }

type pageFile struct {
	plain, packed []byte
	kind          string // the media type
	tag           string // the entity tag
}

func newPage(files fs.FS) *page {
	p := &page{make(map[string]pageFile)}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		plain, err := fs.ReadFile(files, name)
		plain = bytes.ReplaceAll(plain, []byte(versionHole), []byte(pageVersion()))
		sum := sha256.Sum256(plain)
		p.files["/"+name] = pageFile{plain, compress(plain), mediaType(name), `"` + hex.EncodeToString(sum[:12]) + `"`}
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("read the embedded page: %v", err))
	}
	p.files["/"] = p.files["/index.html"]
	return p
}

// versionHole is the place of the version in the page's files.
const versionHole = "{{version}}"

// pageVersion returns the version of the page's files. An open page that learns of another one,
// because berth-web was upgraded, loads itself again, so that page and program are of one build.
var pageVersion = sync.OnceValue(func() string {
	sum := sha256.New()
	files := pageFiles()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("read the embedded page: %v", err))
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
})

// mediaType returns the type by a name's extension, independent of the machine's tables.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".html":
		return "text/html; charset=utf-8"
	}
	panic(fmt.Sprintf("the page has %q, of a type that has no media type here", name))
}

func compress(plain []byte) []byte {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		panic(err) // the level exists
	}
	_, _ = w.Write(plain) // a buffer takes everything
	_ = w.Close()
	return packed.Bytes()
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := p.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache") // kept by the browser, which asks whether it is the newest
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if !acceptsGzip(r) {
		_, _ = w.Write(f.plain) // the reader may be gone
		return
	}
	h.Set("Content-Encoding", "gzip")
	_, _ = w.Write(f.packed)
}

// acceptsGzip reports whether a client takes compressed content.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.ReplaceAll(quality, " ", "") != "q=0"
		}
	}
	return false
}
