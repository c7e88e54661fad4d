package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
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

// TestPackageCommentsNameAnEntry checks that the comment of each package that exports a name
// contains one, so that a reader knows the entry.
func TestPackageCommentsNameAnEntry(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, p := range listPackages(t, "./...") {
		dir := strings.TrimPrefix(p.ImportPath, module+"/")
		names, comment := exportedNames(t, dir), packageComment(t, dir)
		if len(names) == 0 || comment == "" {
			continue
		}
		compared++
		if !slices.ContainsFunc(strings.FieldsFunc(comment, notInName), func(word string) bool { return names[word] }) {
			t.Errorf("%s: the package comment names none of the exported types and functions", dir)
		}
	}
	if compared < 60 {
		t.Errorf("%d package comments were compared, want at least 60", compared)
	}
}

func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// exportedNames returns the exported types, functions and methods of a package; of a program, none.
func exportedNames(t *testing.T, dir string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name.Name == "main" {
			return nil
		}
		for _, d := range f.Decls {
			addExported(names, d)
		}
	}
	return names
}

func addExported(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		addIfExported(names, d.Name)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if s, ok := s.(*ast.TypeSpec); ok {
				addIfExported(names, s.Name)
			}
		}
	}
}

func addIfExported(names map[string]bool, n *ast.Ident) {
	if n.IsExported() {
		names[n.Name] = true
	}
}
