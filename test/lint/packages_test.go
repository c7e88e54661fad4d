package lint

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// importClaim matches the end of a package comment, from the sentence that names the imports.
var importClaim = regexp.MustCompile(`(?s)[^.]*\bimports?\b.*`)

// coarseClaims permit many packages at once, so they are not compared.
var coarseClaims = regexp.MustCompile(`every room|rooms below|all rooms|imports rooms`)

// packageComment returns the comment of the package in a directory below root.
func packageComment(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc.Text() != "" {
			return f.Doc.Text()
		}
	}
	return ""
}

// claims reports whether the text names a package: by its path, its own name, or a room that
// contains it.
func claims(text, imported string) bool {
	for p := imported; p != "."; p = path.Dir(p) {
		for _, name := range []string{p, path.Base(p)} {
			if regexp.MustCompile(`(^|[\s"(/])` + regexp.QuoteMeta(name) + `([\s,.;)]|$)`).MatchString(text) {
				return true
			}
		}
	}
	return false
}

// TestPackageCommentsNameImports checks that a package comment that lists the imports of the
// package lists all of them.
func TestPackageCommentsNameImports(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, p := range listPackages(t, "./...") {
		dir := strings.TrimPrefix(p.ImportPath, module+"/")
		claim := importClaim.FindString(packageComment(t, dir))
		if claim == "" || coarseClaims.MatchString(claim) {
			continue
		}
		compared++
		for _, to := range p.Imports {
			if _, ours := room(to); ours && !claims(claim, strings.TrimPrefix(to, module+"/")) {
				t.Errorf("%s imports %s, which its package comment does not name", dir, to)
			}
		}
	}
	if compared < 25 {
		t.Errorf("%d package comments name imports, want at least 25", compared)
	}
}
