package programs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
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
var execs = map[string]int{
	"exec.Command": 0, "exec.CommandContext": 1, "exec.LookPath": 0,
	"os.StartProcess": 0, "syscall.ForkExec": 0, "syscall.StartProcess": 0, "syscall.Exec": 0, "unix.Exec": 0,
}

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

// programArgs returns the arguments of a call that are programs: its own, and the one that a
// program such as nsenter starts.
func programArgs(call *ast.CallExpr, s source, found passers) []ast.Expr {
	first := program(call, s, found)
	if first == nil {
		return nil
	}
	all := []ast.Expr{first}
	operands, starts := starters[text(first)]
	if !starts {
		return all
	}
	if e := startedArg(call.Args[slices.Index(call.Args, first)+1:], operands); e != nil {
		all = append(all, e)
	}
	for _, arg := range call.Args {
		ast.Inspect(arg, func(node ast.Node) bool {
			if list, ok := node.(*ast.CompositeLit); ok {
				if e := startedArg(list.Elts, operands); e != nil {
					all = append(all, e)
				}
			}
			return true
		})
	}
	return all
}

// startedArg returns the argument that is the program which a starter runs, after its flags and some
// other arguments, or nil if there is none.
func startedArg(args []ast.Expr, operands int) ast.Expr {
	afterFlag := false // the next may be the value of a flag
	for _, arg := range args {
		word := text(arg)
		switch {
		case strings.HasPrefix(word, "-"):
			afterFlag = word != "--" && !strings.Contains(word, "=")
			continue
		case word == "" && !afterFlag:
			return arg
		case word == "", afterFlag && word[0] >= '0' && word[0] <= '9':
		case operands > 0:
			operands--
		default:
			return arg
		}
		afterFlag = false
	}
	return nil
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
