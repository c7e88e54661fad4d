package install

import (
	"fmt"
	"path/filepath"
	"strings"

	"berth/engine/entry"
)

// The programs of berth's that engines run.
const (
	runtimeProgram  = "berth-runtime"
	nriProgram      = "berth-nri"
	netavarkProgram = "berth-netavark"
	lateSuffix      = "-late" // added to berth-runtime's name if it attaches at start
)

// launchSpec describes how an engine runs berth-runtime.
type launchSpec struct {
	late    bool     // attach when the container is started
	runtime string   // the engine's own low-level runtime; "" for the one that berth-runtime finds
	args    []string // its own, before the engine's
}

// launcherPath returns the path of a program that runs berth-runtime with these settings:
// itself if it needs no flag, a link by whose name it attaches late, or a script that adds
// flags, as engines accept a path and nothing else.
func (p *planner) launcherPath(l launchSpec) (string, error) {
	path, err := p.o.programPath(runtimeProgram)
	if err != nil {
		return "", err
	}
	if _, err := p.o.hookPath(); err != nil {
		return "", err
	}
	args := entry.Flags("--berth-", p.o.Dirs)
	if l.runtime != "" && l.runtime != p.defaultRuntime() {
		args = append(args, "--berth-runtime", l.runtime)
	}
	if len(args)+len(l.args) > 0 {
		if l.late {
			args = append(args, "--berth-attach", "start")
		}
		args = append(args, l.args...)
		script := filepath.Join(p.o.configHome(), "runtimes", runtimeProgram+"-"+p.o.Engine)
		return script, p.writeScript(script, path, args)
	}
	if !l.late {
		return path, nil
	}
	link := path + lateSuffix
	return link, p.planLink(link, runtimeProgram)
}

// defaultRuntime returns the runtime that berth-runtime chooses by default.
func (p *planner) defaultRuntime() string {
	for _, name := range []string{"runc", "crun"} {
		if path := p.o.lookPath(name); path != "" {
			return path
		}
	}
	return ""
}

// writeScript writes a program at path that runs another with arguments before its own.
func (p *planner) writeScript(path, program string, args []string) error {
	return p.writeWhole(path, p.scriptText(append([]string{program}, args...)), 0o755)
}

// quoteWord returns a word in the quotes of a shell.
func quoteWord(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// ShellWord returns a word of a command line as a person writes it: in quotes only if it needs them.
func ShellWord(word string) string {
	safe := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:=@,%", r)
	}
	if word != "" && strings.TrimFunc(word, safe) == "" {
		return word
	}
	return quoteWord(word)
}

// scriptText returns a script that executes a command with its own arguments after it.
func (p *planner) scriptText(command []string) string {
	quoted := make([]string, 0, len(command))
	for _, arg := range command {
		quoted = append(quoted, quoteWord(arg))
	}
	return fmt.Sprintf("#!/bin/sh\n# Written by berth install --engine %s.\nexec %s \"$@\"\n", p.o.Engine,
		strings.Join(quoted, " "))
}
