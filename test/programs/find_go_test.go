package programs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the module's directory, relative to this package.
const root = "../.."

// A use is a program that a file executes.
type use struct{ program, file string }

// A source is a Go file that is searched for programs.
type source struct {
	path string // below root
	file *ast.File
}

// sources returns the files of tests, of test/ and of internal/testnet.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, path)
		tests := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(rel, "test/") || strings.HasPrefix(rel, "internal/testnet/")
		if err != nil || !tests || !strings.HasSuffix(path, ".go") || strings.HasPrefix(rel, "test/programs/") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		all = append(all, source{rel, f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// passers are functions that pass a parameter on as the name of a program. The key is
// "package directory.function", the value the index of the parameter. Methods are
// matched by name only.
type passers map[string]int

// execs are the functions of Go's library that take the name of a program.
var execs = map[string]int{"exec.Command": 0, "exec.CommandContext": 1, "exec.LookPath": 0}

// findPassers returns the functions that pass a parameter as a program to the library or
// to one another.
func findPassers(all []source) passers {
	found := passers{}
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			for _, decl := range s.file.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				name := filepath.Dir(s.path) + "." + fn.Name.Name
				if _, known := found[name]; known {
					continue
				}
				if place, ok := passed(fn, s, found); ok {
					found[name] = place
					grown = true
				}
			}
		}
	}
	return found
}

// passed returns the index of the parameter that a function passes on.
func passed(fn *ast.FuncDecl, s source, found passers) (int, bool) {
	params := map[string]int{}
	n := 0
	for _, field := range fn.Type.Params.List {
		for _, name := range field.Names {
			if id, ok := field.Type.(*ast.Ident); ok && id.Name == "string" {
				params[name.Name] = n
			}
			n++
		}
	}
	place, known := 0, false
	ast.Inspect(fn.Body, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			for _, e := range programArgs(call, s, found) {
				if id, isIdent := e.(*ast.Ident); isIdent && !known {
					place, known = params[id.Name]
				}
			}
		}
		return true
	})
	return place, known
}

// programArgs returns the arguments of a call that are programs: its own, and the first
// after the flags of a program that starts another, such as nsenter.
func programArgs(call *ast.CallExpr, s source, found passers) []ast.Expr {
	first := program(call, s, found)
	if first == nil {
		return nil
	}
	all := []ast.Expr{first}
	if !starters[text(first)] {
		return all
	}
	for _, arg := range call.Args[1:] {
		if e := text(arg); e != "" && !strings.HasPrefix(e, "-") && arg != first {
			all = append(all, arg)
			break
		}
	}
	for _, arg := range call.Args {
		ast.Inspect(arg, func(node ast.Node) bool {
			if list, ok := node.(*ast.CompositeLit); ok {
				place := slices.IndexFunc(list.Elts, func(e ast.Expr) bool { return !strings.HasPrefix(text(e), "-") })
				if place >= 0 {
					all = append(all, list.Elts[place])
				}
			}
			return true
		})
	}
	return all
}

func isCall(e ast.Expr) bool {
	_, ok := e.(*ast.CallExpr)
	return ok
}

// program returns the argument of a call that names a program, or nil.
func program(call *ast.CallExpr, s source, found passers) ast.Expr {
	place, ok := 0, false
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		place, ok = found[filepath.Dir(s.path)+"."+fn.Name]
	case *ast.SelectorExpr:
		x, isIdent := fn.X.(*ast.Ident)
		if isIdent {
			if place, ok = execs[x.Name+"."+fn.Sel.Name]; ok {
				break
			}
			if x.Name == "t" || x.Name == "b" {
				break // a test's Run
			}
		}
		for _, dir := range packages(s) {
			if place, ok = found[dir+"."+fn.Sel.Name]; ok {
				break
			}
		}
	}
	if !ok || place >= len(call.Args) {
		return nil
	}
	return call.Args[place]
}

// packages returns the directories of a file's own package and of the module's packages
// that it imports.
func packages(s source) []string {
	all := []string{filepath.Dir(s.path)}
	for _, imported := range s.file.Imports {
		if path, ok := strings.CutPrefix(text(imported.Path), "berth/"); ok {
			all = append(all, path)
		}
	}
	return all
}

// unknownWord replaces a part of a script that is not a literal.
const unknownWord = "unknown-word"

// text returns the value of a string literal, or of a sum that begins with one, or "".
// Parts that are not literals are replaced by a word.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(e.Value)
		if err == nil && e.Kind == token.STRING {
			return value
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			left, right := text(e.X), text(e.Y)
			if left != "" && right == "" {
				right = unknownWord
			}
			return left + right
		}
	case *ast.CallExpr: // fmt.Sprintf(format, …), fmt.Appendf(nil, format, …)
		for _, arg := range e.Args {
			if s := text(arg); s != "" {
				return s
			}
		}
	}
	return ""
}

// usesOfGo returns the programs of Go files.
func usesOfGo(t *testing.T, all []source) []use {
	t.Helper()
	found := findPassers(all)
	var uses []use
	for _, s := range all {
		ast.Inspect(s.file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.CallExpr:
				for _, e := range programArgs(n, s, found) {
					if name := text(e); name != "" && !isCall(e) {
						uses = append(uses, use{name, s.path})
					}
				}
				for i, arg := range n.Args {
					// sh -c SCRIPT, bash -eu -c SCRIPT
					if flag := text(arg); strings.HasPrefix(flag, "-") && strings.HasSuffix(flag, "c") && i > 0 && i+1 < len(n.Args) && isShell(n.Args[:i]) {
						uses = append(uses, usesOfShell(t, s.path, text(n.Args[i+1]))...)
					}
				}
			case *ast.KeyValueExpr: // the demo's command lines
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "lines" && strings.HasPrefix(s.path, "test/demo/") {
					uses = append(uses, usesOfLines(t, s.path, n.Value)...)
				}
			case *ast.ValueSpec: // the programs that test/vm takes into a machine
				if s.path == "test/vm/tools.go" && n.Names[0].Name == "tools" {
					for _, e := range n.Values[0].(*ast.CompositeLit).Elts {
						uses = append(uses, use{text(e), s.path})
					}
				}
			case *ast.BasicLit:
				if path := text(n); strings.HasPrefix(path, "/usr/include/") || strings.HasPrefix(path, "/usr/lib/cni/") {
					uses = append(uses, use{path, s.path})
				}
			}
			return true
		})
	}
	return uses
}

func isShell(args []ast.Expr) bool {
	for _, arg := range args {
		if name := text(arg); name == "sh" || name == "bash" {
			return true
		}
	}
	return false
}

func usesOfLines(t *testing.T, path string, value ast.Expr) []use {
	t.Helper()
	list, ok := value.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var uses []use
	for _, e := range list.Elts {
		uses = append(uses, usesOfShell(t, path, text(e))...)
	}
	return uses
}
