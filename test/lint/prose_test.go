package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// riddles match English that takes two readings: clauses in the place of terms, and
// people in the place of programs (CONTRIBUTING.md, "English").
var riddles = regexp.MustCompile(`(?i)\bwhat (is|it|was|has|are)\b|\bof before\b|\bof now\b|\bthat is there\b|\b(nobody|somebody)\b`)

// plain are the rooms whose comments hold the rule. test/ and the C of bpf/ are
// still to come.
var plain = []string{"agent", "bpf", "check", "cmd", "engine", "hook", "internal", "ipam", "network", "specs", "test/lint"}

// TestComments checks the comments of Go files.
func TestComments(t *testing.T) {
	t.Parallel()
	for _, room := range plain {
		eachFile(t, room, ".go", func(path string) {
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range f.Comments {
				checkEnglish(t, files.Position(group.Pos()).String(), group.Text())
			}
		})
	}
}

// code matches the blocks and spans that a Markdown page quotes, and the comments
// by which test/docs knows how to run them.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`|<!--.*?-->")

// TestPages checks the Markdown pages: their sentences, not their headings, which
// may be questions.
func TestPages(t *testing.T) {
	t.Parallel()
	check := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for paragraph := range strings.SplitSeq(code.ReplaceAllString(string(text), ""), "\n\n") {
			if !strings.HasPrefix(strings.TrimSpace(paragraph), "#") {
				checkEnglish(t, path, paragraph)
			}
		}
	}
	for _, dir := range []string{"docs", "specs"} {
		eachFile(t, dir, ".md", check)
	}
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		check(filepath.Join("../..", page))
	}
}

// hold fails the test if a text has a riddle.
func checkEnglish(t *testing.T, where, text string) {
	t.Helper()
	text = strings.Join(strings.Fields(text), " ")
	for _, found := range riddles.FindAllStringIndex(text, -1) {
		around := text[max(0, found[0]-50):min(len(text), found[1]+50)]
		t.Errorf("%s: %q: want a subject, a verb and a term (CONTRIBUTING.md, English)", where, around)
	}
}

// eachFile calls fn with the files of a room that have a suffix and are not
// generated.
func eachFile(t *testing.T, room, suffix string, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("../..", room), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) && !strings.Contains(path, "_bpf") && !strings.Contains(path, "testdata") {
			fn(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
