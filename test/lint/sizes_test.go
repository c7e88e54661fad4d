package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"unicode/utf8"
)

// The limits of CONTRIBUTING.md, "Code". A tab counts as one column.
const (
	maxColumns       = 120
	maxFunctionLines = 40
	maxFileLines     = 320 // "about 300"
)

// longLines are texts whose lines may be longer.
var longLines = []struct{ file, text, reason string }{
	{"", "//go:generate ", "a command has one line"},
	{"internal/testnet/dhcp.go", `": `, "JSON of kea's configuration, as kea's manual shows it"},
}

// production calls fn for every Go file that is no test and is not generated.
func production(t *testing.T, fn func(path, text string)) {
	t.Helper()
	checked := 0
	eachFile(t, func(path, text string) {
		if !strings.HasSuffix(path, "_test.go") {
			fn(path, text)
			checked++
		}
	}, ".go")
	if checked < 300 {
		t.Errorf("%d files, want at least 300", checked)
	}
}

func mayBeLong(path, line string) bool {
	for _, e := range longLines {
		if strings.HasPrefix(path, e.file) && strings.Contains(line, e.text) {
			return true
		}
	}
	return false
}

// TestLinesFit checks the width of lines outside of tests.
func TestLinesFit(t *testing.T) {
	t.Parallel()
	production(t, func(path, text string) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			if width := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width > maxColumns && !mayBeLong(path, line) {
				t.Errorf("%s:%d: %d columns, want at most %d", path, n, width, maxColumns)
			}
		}
	})
}

// TestFunctionsAreSmall checks the length of functions and files outside of tests.
func TestFunctionsAreSmall(t *testing.T) {
	t.Parallel()
	production(t, func(path, text string) {
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(text, "\n"); lines > maxFileLines {
			t.Errorf("%s: %d lines, want at most about 300: split it by subject", path, lines)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1; lines > maxFunctionLines {
				t.Errorf("%s: function %s has %d lines, want at most %d", path, fn.Name.Name, lines, maxFunctionLines)
			}
		}
	})
}
