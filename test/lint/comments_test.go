package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A remark is a comment, a help text or another text for readers, and its place.
type remark struct{ place, text string }

// skipped are directories without texts of the project's own.
var skipped = map[string]bool{".git": true, "testdata": true, "layouts": true, "bin": true, "dist": true}

// eachFile calls fn with the content of the files below the module's root whose
// name has one of the suffixes, except generated ones.
func eachFile(t *testing.T, fn func(path, text string), suffixes ...string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && skipped[d.Name()] {
				return filepath.SkipDir
			}
			return err
		}
		for _, suffix := range suffixes {
			if strings.HasSuffix(path, suffix) && !strings.Contains(path, "_bpf") {
				text, err := os.ReadFile(path)
				fn(strings.TrimPrefix(path, "../../"), string(text))
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// goComments returns the comments of all Go files.
func goComments(t *testing.T) (all []remark) {
	eachFile(t, func(path, text string) {
		files, f := parseGo(t, path, text)
		for _, group := range f.Comments {
			all = append(all, remark{files.Position(group.Pos()).String(), group.Text()})
		}
	}, ".go")
	return all
}

// goTexts returns the string literals of all Go files that have at least three
// words: errors, help texts and messages. It omits tests, which quote other texts.
func goTexts(t *testing.T) (all []remark) {
	eachFile(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		files, f := parseGo(t, path, text)
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && strings.Count(lit.Value, " ") >= 2 {
				all = append(all, remark{files.Position(lit.Pos()).String(), lit.Value})
			}
			return true
		})
	}, ".go")
	return all
}

func parseGo(t *testing.T, path, text string) (*token.FileSet, *ast.File) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return files, f
}

var (
	cComment     = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	cMarks       = regexp.MustCompile(`(?m)^/\*|\*/$|^\s*\*( |$)|^//`)
	shellComment = regexp.MustCompile(`(?m)(?:^|[ \t])#(?: (.*))?$`)
)

// cComments returns the comments of the BPF programs.
func cComments(t *testing.T) (all []remark) {
	eachFile(t, func(path, text string) {
		for _, c := range cComment.FindAllString(text, -1) {
			all = append(all, remark{path, cMarks.ReplaceAllString(c, "")})
		}
	}, ".c", ".h")
	return all
}

// shellComments returns the comments of scripts, of the Makefile, and of the
// configuration in deploy: the text after "# ". Adjacent lines are one comment.
func shellComments(t *testing.T) (all []remark) {
	eachFile(t, func(path, text string) {
		var lines []string
		for _, c := range shellComment.FindAllStringSubmatch(text, -1) {
			lines = append(lines, c[1])
		}
		all = append(all, remark{path, strings.Join(lines, "\n")})
	}, ".sh", ".ci/run", "Makefile", ".service", ".socket", ".yml", ".yaml", ".toml", ".conf",
		"Containerfile", "postinst", "prerm", "postrm", "lintian-overrides")
	return all
}
