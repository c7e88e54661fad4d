package web

import (
	"bytes"
	"compress/gzip"
	"io/fs"
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
