package programs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// scripts are the shell scripts of the tree.
var scripts = []string{"scripts/*.sh", ".ci/run", "deploy/debian/build.sh"}

// usesOfScripts returns the programs of the scripts and of the pages in docs/engines.
func usesOfScripts(t *testing.T) []use {
	t.Helper()
	var uses []use
	for _, pattern := range scripts {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%q: %q, %v", pattern, files, err)
		}
		for _, file := range files {
			uses = append(uses, usesOfShell(t, strings.TrimPrefix(file, root+"/"), readFile(t, file))...)
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/engines/*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("docs/engines: %q, %v", pages, err)
	}
	block := regexp.MustCompile("(?ms)^<!-- run by test/docs -->\n```console\n(.*?)^```$")
	command := regexp.MustCompile(`(?m)^# (.*)$`)
	for _, page := range pages {
		for _, b := range block.FindAllStringSubmatch(readFile(t, page), -1) {
			for _, c := range command.FindAllStringSubmatch(b[1], -1) {
				uses = append(uses, usesOfShell(t, "test/docs", c[1])...)
			}
		}
	}
	generate := regexp.MustCompile(`(?m)^//go:generate .* -cc (\S+) -strip (\S+)`).FindStringSubmatch(readFile(t, filepath.Join(root, "bpf/doc.go")))
	if generate == nil {
		t.Fatal("bpf/doc.go: no compiler of the BPF programs")
	}
	for _, program := range generate[1:] {
		uses = append(uses, use{program, "scripts/generated.sh"})
	}
	return uses
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// starters are programs that run the program named by one of their arguments.
var starters = map[string]bool{"exec": true, "env": true, "nice": true, "command": true, "xargs": true, "timeout": true, "unshare": true, "nsenter": true, "chroot": true}

// usesOfShell returns the programs of a script: the first word of each command that is
// not a function or builtin.
func usesOfShell(t *testing.T, file, script string) []use {
	t.Helper()
	if script == "" {
		return nil
	}
	parsed, err := syntax.NewParser().Parse(strings.NewReader(script), file)
	if err != nil {
		t.Fatalf("%s: %v in:\n%s", file, err, script)
	}
	functions := map[string]bool{}
	syntax.Walk(parsed, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok {
			functions[f.Name.Value] = true
		}
		return true
	})
	var uses []use
	syntax.Walk(parsed, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		name := call.Args[0].Lit()
		if name != "" && name != unknownWord && !functions[name] && !builtins[name] {
			uses = append(uses, use{name, file})
		}
		if starters[name] {
			uses = append(uses, startedProgram(file, call.Args[1:])...)
		}
		return true
	})
	return uses
}

// startedProgram returns the program that a starter runs: the first word that looks like a
// name, after flags and settings.
func startedProgram(file string, args []*syntax.Word) []use {
	for _, arg := range args {
		name := arg.Lit()
		if name == "" || strings.HasPrefix(name, "-") || strings.Contains(name, "=") || name[0] >= '0' && name[0] <= '9' {
			continue
		}
		if builtins[name] || strings.Contains(name, "/") {
			return nil
		}
		if name == unknownWord {
			return nil
		}
		return []use{{name, file}}
	}
	return nil
}

// builtins are the builtins of bash that the scripts use: bash(1).
var builtins = words(`: . [ [[ break cd command continue declare echo eval exec exit export false hash kill
	local mapfile printf pwd read return set shift source test trap true type ulimit umask unset wait`)

func words(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(text) {
		all[w] = true
	}
	return all
}
