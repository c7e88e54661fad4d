// Package docs runs the commands in docs/engines literally, on a host of its own with the
// engines that this machine has.
package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/test/lab"
)

const pages = "../../docs/engines"

// block is a fenced block of commands. Lines that begin with "# " are commands. The
// others must be in their output; "…" matches any text.
type block struct {
	page      string
	line      int
	directive string // the comment above it, in the page's source
	commands  []string
	output    []string
}

// The directives. A block with a condition runs if that shell command succeeds.
var (
	runHere   = regexp.MustCompile(`^<!-- run by test/docs(?:, if (\S.*))? -->$`)
	runThere  = regexp.MustCompile(`^<!-- run by ((?:test|cmd)/[\w-]+), in (Test\w+) -->$`)
	notRun    = regexp.MustCompile(`^<!-- not run here: \S.* -->$`)
	testNames = regexp.MustCompile(`\bTest[A-Z]\w+`)
)

// readBlocks returns the blocks of commands of a page.
func readBlocks(t *testing.T, page string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pages, page))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	var b *block
	for i, line := range lines {
		switch {
		case b == nil && line == "```console":
			b = &block{page: page, line: i + 1, directive: lines[i-1]}
		case b == nil:
		case line == "```":
			all, b = append(all, *b), nil
		case strings.HasPrefix(line, "# "):
			b.commands = append(b.commands, strings.TrimPrefix(line, "# "))
		default:
			b.output = append(b.output, line)
		}
	}
	return all
}

func names(t *testing.T) (all []string) {
	t.Helper()
	found, err := filepath.Glob(pages + "/*.md")
	if err != nil || len(found) < 9 {
		t.Fatalf("%q, %v", found, err)
	}
	for _, path := range found {
		all = append(all, filepath.Base(path))
	}
	return all
}

// TestEveryCommandIsAccountedFor checks that every block has a directive: the test that
// runs it, or the reason why none does. Tests that it names must exist.
func TestEveryCommandIsAccountedFor(t *testing.T) {
	tests := declared(t)
	for _, page := range names(t) {
		for _, b := range readBlocks(t, page) {
			at := fmt.Sprintf("%s:%d", b.page, b.line)
			if !slices.ContainsFunc([]*regexp.Regexp{runHere, runThere, notRun}, func(r *regexp.Regexp) bool { return r.MatchString(b.directive) }) {
				t.Errorf("%s: above it stands %q", at, b.directive)
			}
			if len(b.commands) == 0 {
				t.Errorf("%s: no command", at)
			}
			for _, name := range testNames.FindAllString(b.directive, -1) {
				if !tests[name] {
					t.Errorf("%s: there is no %s", at, name)
				}
			}
		}
	}
}

// declared returns the names of all tests in the tree.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			all[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCommands runs the commands of the pages, one page after another. README makes the
// network, and each page leaves nothing attached.
func TestCommands(t *testing.T) {
	h := newHost(t)
	order := names(t) // README comes first: upper case
	for _, page := range order {
		t.Run(strings.TrimSuffix(page, ".md"), func(t *testing.T) {
			dir := h.directory(t)
			for _, b := range readBlocks(t, page) {
				if here := runHere.FindStringSubmatch(b.directive); here != nil && h.holds(t, dir, here[1]) {
					h.runBlock(t, b, dir)
				}
			}
			if out, err := h.Run("berth", "ps", "--json"); err != nil || out != "[]\n" {
				log, _ := os.ReadFile("/run/berth/state/hook.log") // if it does not exist, no hook has failed
				t.Errorf("left attached: %v\n%s\nhook.log: %s", err, out, log)
			}
		})
	}
}

// holds reports whether a condition is empty or a shell command that succeeds.
func (h *host) holds(t *testing.T, dir, condition string) bool {
	t.Helper()
	if condition == "" {
		return true
	}
	out, err := h.shell(dir, "if "+condition+"; then echo yes; else echo no; fi 2>&1 | tail -n 1")
	if err != nil {
		t.Fatalf("%s: %v", condition, err)
	}
	return strings.HasSuffix(out, "yes\n")
}

// runBlock runs the commands of a block in a directory, and checks their output.
func (h *host) runBlock(t *testing.T, b block, dir string) {
	t.Helper()
	out, err := h.shell(dir, strings.Join(b.commands, "\n"))
	if err != nil {
		t.Fatalf("%s:%d: %v", b.page, b.line, err)
	}
	rest := singleSpaced(out)
	for _, want := range b.output {
		for piece := range strings.SplitSeq(singleSpaced(want), "…") {
			_, after, found := strings.Cut(rest, strings.TrimSpace(piece))
			if !found {
				t.Fatalf("%s:%d: no %q in:\n%s", b.page, b.line, want, out)
			}
			rest = after
		}
	}
}

// singleSpaced returns a text with single spaces, in place of its layout.
func singleSpaced(text string) string { return strings.Join(strings.Fields(text), " ") }

// shell runs a script and returns its output as a terminal shows it.
func (h *host) shell(dir, script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := h.Command(ctx, "bash", "-euxo", "pipefail", "-c", script)
	cmd.Dir = dir
	return lab.Terminal(cmd)
}
