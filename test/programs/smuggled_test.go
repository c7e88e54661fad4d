package programs

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// smuggled is a program that no Debian has.
const smuggled = "smuggled"

// TestNoScriptSmugglesAProgram requires that a program is found in each form in which a script runs one.
func TestNoScriptSmugglesAProgram(t *testing.T) {
	for name, script := range map[string]string{
		"a command":                          "cd / && smuggled --version",
		"a command with a setting":           "A=b smuggled",
		"a path":                             "/usr/bin/smuggled",
		"quotes":                             "'smuggled' x",
		"a pipe":                             "echo | smuggled",
		"a substitution":                     `echo "$(smuggled)"`,
		"a substitution of a process":        "diff <(smuggled) /dev/null",
		"a condition":                        "if ! smuggled; then exit 1; fi",
		"a function":                         "f() { smuggled; }; f",
		"a shell":                            `bash -eu -c 'smuggled "$1"' x`,
		"a shell in a shell":                 `sh -c "sh -c 'smuggled'"`,
		"a trap":                             "trap 'smuggled' EXIT",
		"eval":                               `eval "smuggled $x"`,
		"exec":                               "exec smuggled",
		"command -v":                         "command -v smuggled",
		"a starter in a starter":             "nice -n 5 setpriv --no-new-privs smuggled",
		"a starter with an argument":         "timeout 5s flock /var/lock/x smuggled",
		"a starter with a path":              "xargs -r /usr/bin/smuggled",
		"a namespace":                        "ip netns exec cam smuggled",
		"find":                               "find . -name x -exec smuggled {} +",
		"a document for a shell":             "sh <<END\nsmuggled\nEND\n",
		"a document that is a script":        "cat >x <<-'END'\n\t#!/bin/sh\n\tsmuggled\n\tEND\n",
		"a document for a shell in a branch": "if true; then bash <<'END'\nsmuggled\nEND\nfi",
		"a document in a pipe":               "cat <<END | sh -e\nsmuggled\nEND\n",
		"a word as a document":               "bash <<<'smuggled'",
		"a time":                             "time smuggled",
	} {
		if !slices.Contains(usesOfShell(t, name, script), use{smuggled, name}) {
			t.Errorf("%s: not found in:\n%s", name, script)
		}
	}
}

// TestNoGoSmugglesAProgram requires the same of Go.
func TestNoGoSmugglesAProgram(t *testing.T) {
	for name, body := range map[string]string{
		"a command":              `exec.Command("smuggled", "x")`,
		"a path":                 `exec.Command("/usr/sbin/smuggled")`,
		"a constant":             `exec.CommandContext(ctx, program)`,
		"a variable":             `exec.Command(tool)`,
		"a structure":            `(&exec.Cmd{Path: "smuggled"}).Run()`,
		"a system call":          `syscall.ForkExec("/usr/bin/smuggled", nil, nil)`,
		"a start":                `os.StartProcess(program, nil, nil)`,
		"a function":             `run("smuggled")`,
		"a method":               `host.start("smuggled")`,
		"a starter":              `exec.Command("nsenter", "-t", pid, "smuggled")`,
		"a starter with flags":   `exec.Command("setpriv", "--no-new-privs", "--bounding-set", set(), "smuggled")`,
		"a shell":                `exec.Command("sh", "-c", "cd / && smuggled")`,
		"a shell and a constant": `exec.Command("sh", "-c", script)`,
		"a shell and a sum":      `exec.Command("bash", "-euc", script+"\n"+x)`,
		"a changed constant":     `exec.Command("sh", "-c", strings.Replace(script, "x", "y", 1))`,
		"a list of words":        `words := []string{"busybox", "sh", "-c", script}`,
		"a script in a file":     `os.WriteFile(path, []byte("#!/bin/sh\nexec smuggled \"$@\"\n"), 0o755)`,
		"a script with verbs":    `fmt.Sprintf("#!/bin/sh\n%s | smuggled >>%s\n", a, b)`,
		"a script of testnet":    `testnet.Script(t, path, "smuggled")`,
		"a CNI plugin":           `install("/usr/lib/cni/smuggled")`,
	} {
		text := `package x
			const program, script = "smuggled", "true\nsmuggled"
			var tool = "smuggled"
			func run(name string) { exec.Command(name) }
			func (h *host) start(name string) { run(name) }
			func f() { ` + body + ` }`
		parsed, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		uses := usesOfGo(t, []source{{"test/x/" + name, parsed}})
		if !slices.ContainsFunc(uses, func(u use) bool { return u.program == smuggled || u.program == "/usr/lib/cni/"+smuggled }) {
			t.Errorf("%s: not found in %s, only %q", name, body, uses)
		}
	}
}

// TestNoRecipeSmugglesAProgram requires the same of the Makefile and of units.
func TestNoRecipeSmugglesAProgram(t *testing.T) {
	const makefile = `
VERSION ?= $(shell smuggled-shell --version)
clean: ## remove it
	@smuggled-recipe $(A) $$(smuggled-inner)
bench: deps
	-for x in a b; do \
		smuggled-loop $@ $(if $(B),-x $(B)); \
	done
deps:
	@scripts/deps.sh test
`
	uses := usesOfMakefile(t, makefile)
	for _, want := range []use{
		{"smuggled-shell", "Makefile:"}, {"smuggled-recipe", "Makefile:"}, {"smuggled-inner", "Makefile:"}, {"smuggled-loop", "Makefile:test"},
	} {
		if !slices.Contains(uses, want) {
			t.Errorf("%q of %q is not found, only %q", want.program, want.file, uses)
		}
	}
	for _, line := range []string{
		"ExecStart=smuggled x", "ExecStartPost=-+/usr/bin/smuggled", "ExecReload=/bin/sh -c 'smuggled $MAINPID'", "ExecStart=\\\n  smuggled",
	} {
		if !slices.Contains(usesOfUnit(t, "x.service", "[Service]\n"+line+"\n"), use{smuggled, "x.service"}) {
			t.Errorf("not found in the unit's line %q", line)
		}
	}
}
