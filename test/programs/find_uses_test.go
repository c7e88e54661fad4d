package programs

import (
	"go/ast"
	"strings"
	"testing"
)

// usesOfGo returns the programs of Go files.
func usesOfGo(t *testing.T, all []source) []use {
	t.Helper()
	f := goFinder{t: t, passers: findPassers(all), names: findNames(all)}
	for _, s := range all {
		f.source = s
		ast.Inspect(s.file, f.visit)
	}
	return f.uses
}

// goFinder collects the programs of Go files.
type goFinder struct {
	t       *testing.T
	passers passers
	names   names
	source  source
	uses    []use
}

func (f *goFinder) add(program string) {
	if program = programName(program); program != "" && !strings.HasPrefix(program, "-") {
		f.uses = append(f.uses, use{program, f.source.path})
	}
}

func (f *goFinder) addScript(script string) {
	f.t.Helper()
	f.uses = append(f.uses, usesOfShell(f.t, f.source.path, script)...)
}

func (f *goFinder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.CallExpr:
		f.visitCall(n)
	case *ast.CompositeLit:
		f.visitList(n.Elts)
		f.visitCommand(n)
	case *ast.KeyValueExpr: // the demo's command lines
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "lines" && strings.HasPrefix(f.source.path, "test/demo/") {
			f.visitLines(n.Value)
		}
	case *ast.ValueSpec: // the programs that test/vm takes into a machine
		if f.source.path == "test/vm/tools.go" && n.Names[0].Name == "tools" {
			for _, e := range n.Values[0].(*ast.CompositeLit).Elts {
				f.add(text(e))
			}
		}
	case *ast.BinaryExpr: // a file that begins with a literal
		f.visitFile(n)
		return text(n) == "" // else its parts are no files of their own
	case *ast.BasicLit:
		f.visitFile(n)
	}
	return true
}

// visitCall adds the programs that a call starts.
func (f *goFinder) visitCall(call *ast.CallExpr) {
	f.t.Helper()
	for _, e := range programArgs(call, f.source, f.passers) {
		if !isCall(e) {
			f.add(f.names.named(f.source, e))
		}
	}
	f.visitList(call.Args)
	if fn, ok := call.Fun.(*ast.SelectorExpr); ok && fn.Sel.Name == "Script" && len(call.Args) == 3 { // testnet.Script
		f.addScript(f.names.named(f.source, call.Args[2]))
	}
}

// visitList adds the programs of a script that a shell runs: sh -c SCRIPT, bash -eu -c SCRIPT.
func (f *goFinder) visitList(list []ast.Expr) {
	f.t.Helper()
	for i, e := range list {
		flag := text(e)
		if strings.HasPrefix(flag, "-") && strings.HasSuffix(flag, "c") && i+1 < len(list) && isShell(list[:i]) {
			f.addScript(f.names.named(f.source, list[i+1]))
		}
	}
}

// visitCommand adds the program of an exec.Cmd.
func (f *goFinder) visitCommand(list *ast.CompositeLit) {
	kind, ok := list.Type.(*ast.SelectorExpr)
	if !ok || kind.Sel.Name != "Cmd" {
		return
	}
	for _, e := range list.Elts {
		if field, ok := e.(*ast.KeyValueExpr); ok && field.Key.(*ast.Ident).Name == "Path" {
			f.add(f.names.named(f.source, field.Value))
		}
	}
}

// visitFile adds the programs of a text that is a script, and the file that a path is.
func (f *goFinder) visitFile(e ast.Expr) {
	f.t.Helper()
	value := text(e)
	switch {
	case isShellScript(value):
		f.addScript(value)
	case strings.HasPrefix(value, "/usr/include/"), strings.HasPrefix(value, "/usr/lib/cni/"):
		f.add(value)
	}
}

func (f *goFinder) visitLines(value ast.Expr) {
	f.t.Helper()
	if list, ok := value.(*ast.CompositeLit); ok {
		for _, e := range list.Elts {
			f.addScript(text(e))
		}
	}
}

func isShell(args []ast.Expr) bool {
	for _, arg := range args {
		if name := text(arg); name == "sh" || name == "bash" {
			return true
		}
	}
	return false
}
