package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// bareVerbs are names of functions for which a search finds hundreds of lines. A name with an object
// (findLink, checkMode) is found at once.
var bareVerbs = []string{"ask", "call", "check", "do", "find", "get", "handle", "know", "look", "read", "run", "say",
	"show", "tell", "try"}

// TestNamesCanBeSearchedFor fails for functions and methods of a package's own whose name is a bare
// verb. Exported ones have the name of their package or type before them.
func TestNamesCanBeSearchedFor(t *testing.T) {
	t.Parallel()
	eachFile(t, func(path, text string) {
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && slices.Contains(bareVerbs, fn.Name.Name) {
				t.Errorf("%s: the name of function %s is a bare verb: add the object of the verb",
					files.Position(fn.Pos()), fn.Name.Name)
			}
		}
	}, ".go")
}
