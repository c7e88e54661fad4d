package programs

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// starters are programs that run the program named by one of their arguments, with the number of
// arguments before it that are no flags.
var starters = map[string]int{
	"exec": 0, "env": 0, "nice": 0, "ionice": 0, "nohup": 0, "setsid": 0, "stdbuf": 0, "setpriv": 0, "sudo": 0, "command": 0,
	"xargs": 0, "unshare": 0, "nsenter": 0, "strace": 0, "systemd-run": 0,
	"timeout": 1, "flock": 1, "chroot": 1, "taskset": 1, "chrt": 1,
}

// shebang is the first line of a shell script.
var shebang = regexp.MustCompile(`^#! ?/(usr/)?bin/(env )?(ba|da)?sh\b`)

func isShellScript(text string) bool { return shebang.MatchString(text) }

// usesOfShell returns the programs of a script: the first word of each command that is
// not a function or builtin, and those of scripts inside of it.
func usesOfShell(t *testing.T, file, script string) []use {
	t.Helper()
	f := shellFinder{t: t, file: file, functions: map[string]bool{}}
	f.addScript(script)
	return f.uses
}

// shellFinder collects the programs of a script.
type shellFinder struct {
	t         *testing.T
	file      string
	functions map[string]bool
	uses      []use
}

// addScript adds the programs of a script, which may call the functions of the one around it.
func (f *shellFinder) addScript(script string) {
	f.t.Helper()
	parsed, err := syntax.NewParser().Parse(strings.NewReader(script), f.file)
	if err != nil {
		f.t.Fatalf("%s: %v in:\n%s", f.file, err, script)
	}
	syntax.Walk(parsed, func(n syntax.Node) bool {
		if fn, ok := n.(*syntax.FuncDecl); ok {
			f.functions[fn.Name.Value] = true
		}
		return true
	})
	syntax.Walk(parsed, f.visit)
}

func (f *shellFinder) visit(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.CallExpr:
		f.visitCommand(wordTexts(n.Args))
	case *syntax.Stmt:
		f.visitDocuments(n, isShellCommand(n))
	case *syntax.BinaryCmd:
		f.visitDocuments(n.X, n.Op == syntax.Pipe && isShellCommand(n.Y))
	}
	return true
}

// isShellCommand reports whether a statement runs a shell.
func isShellCommand(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) > 0 && slices.Contains([]string{"sh", "bash"}, programName(call.Args[0].Lit()))
}

// visitCommand adds the programs that a command runs.
func (f *shellFinder) visitCommand(words []string) {
	f.t.Helper()
	if len(words) == 0 {
		return
	}
	name, args := programName(words[0]), words[1:]
	if name == "" || f.functions[name] || strings.HasPrefix(name, "%") { // a verb of Go's fmt
		return
	}
	if !builtins[name] {
		f.uses = append(f.uses, use{name, f.file})
	}
	switch {
	case name == "sh" || name == "bash":
		if at := slices.IndexFunc(args, func(w string) bool { return strings.HasPrefix(w, "-") && strings.HasSuffix(w, "c") }); at >= 0 && at+1 < len(args) {
			f.addScript(args[at+1])
		}
	case name == "trap" || name == "eval":
		f.addScript(args[0])
	case name == "find":
		for i, w := range args[:len(args)-1] {
			if slices.Contains([]string{"-exec", "-execdir", "-ok"}, w) {
				f.visitCommand(args[i+1:])
			}
		}
	case name == "ip" && len(args) > 3 && args[0] == "netns" && args[1] == "exec":
		f.visitCommand(args[3:])
	}
	if operands, starts := starters[name]; starts {
		f.visitCommand(startedCommand(args, operands))
	}
}

// visitDocuments adds the programs of here-documents that are scripts, by their first line or because
// a shell reads them.
func (f *shellFinder) visitDocuments(s *syntax.Stmt, shellReads bool) {
	f.t.Helper()
	for _, r := range s.Redirs {
		document := r.Hdoc
		if r.Op == syntax.WordHdoc {
			document = r.Word
		}
		if document == nil {
			continue
		}
		script := wordText(document)
		if r.Op == syntax.DashHdoc {
			script = regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(script, "")
		}
		if shellReads || isShellScript(script) {
			f.addScript(script)
		}
	}
}

// wordTexts returns the texts of words.
func wordTexts(all []*syntax.Word) (texts []string) {
	for _, w := range all {
		texts = append(texts, wordText(w))
	}
	return texts
}

// wordText returns the text of a word without its quotes. A part that is no literal is replaced.
func wordText(w *syntax.Word) string {
	var text strings.Builder
	var add func(parts []syntax.WordPart)
	add = func(parts []syntax.WordPart) {
		for _, part := range parts {
			switch part := part.(type) {
			case *syntax.Lit:
				text.WriteString(part.Value)
			case *syntax.SglQuoted:
				text.WriteString(part.Value)
			case *syntax.DblQuoted:
				add(part.Parts)
			default:
				text.WriteString(unknownWord)
			}
		}
	}
	add(w.Parts)
	return text.String()
}

// startedCommand returns the command that a starter runs: the words from the first that looks like
// a name, after flags, settings and some other arguments.
func startedCommand(args []string, operands int) []string {
	for i, word := range args {
		switch {
		case word == "" || strings.HasPrefix(word, "-") || strings.Contains(word, "="):
		case operands > 0:
			operands--
		case word[0] >= '0' && word[0] <= '9': // the value of a flag
		case strings.Contains(word, unknownWord):
			return nil
		default:
			return args[i:]
		}
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

// systemDirs are the directories of installed programs.
var systemDirs = words("/bin /sbin /usr/bin /usr/sbin")

// placeholder matches a word that a test replaces in a script.
var placeholder = regexp.MustCompile(`^[A-Z_]+$`)

// programName returns the name of a program at a path, or "" if the word is unknown.
func programName(word string) string {
	switch {
	case word == unknownWord, placeholder.MatchString(word):
		return ""
	case systemDirs[filepath.Dir(word)]:
		return filepath.Base(word)
	}
	return word
}
