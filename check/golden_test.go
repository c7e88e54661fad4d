package check

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// variation changes good facts in one point.
type variation[F any] struct {
	name   string
	check  string // the check whose line changes
	result Result // its new result
	change func(*F)
}

// goldenVariations compares a judge's lines with its golden file. Good facts give only passes. Each
// variation changes the lines of its own check and of no other, so each case in which a
// check fires is also tested against all others.
func goldenVariations[F any](t *testing.T, file string, good func() F, judge func(F) []Line, all []variation[F]) {
	t.Helper()
	base := judge(good())
	for _, l := range base {
		if l.Result != Pass {
			t.Errorf("good facts: %+v", l)
		}
	}
	var b strings.Builder
	writeSection(t, &b, "good", base)
	for _, v := range all {
		facts := good()
		v.change(&facts)
		lines := judge(facts)
		changed := slices.DeleteFunc(slices.Clone(lines), func(l Line) bool { return slices.Contains(base, l) })
		writeSection(t, &b, v.name, changed)
		if !slices.ContainsFunc(changed, func(l Line) bool { return l.Result == v.result }) {
			t.Errorf("%s: no %s", v.name, v.result)
		}
		for _, l := range changed {
			if l.Check != v.check || l.Result != v.result && l.Result != Pass {
				t.Errorf("%s: %s of %q, want only %s of %q", v.name, l.Result, l.Check, v.result, v.check)
			}
			if prose := strings.Join(remedyPieces(l.Remedy, 0), " "); aCommand.MatchString(prose) {
				t.Errorf("%s: a command that is not marked as one, and may be broken: %s", v.name, l.Remedy)
			}
			if (l.Remedy == "") != (l.Result == Pass) {
				t.Errorf("%s: a %s with the remedy %q", v.name, l.Result, l.Remedy)
			}
		}
	}
	compareGolden(t, file, b.String())
}

// aCommand matches the commands that a person would paste.
var aCommand = regexp.MustCompile(`\b(ip (-d |link)|nsenter|berth (gc|ps|agent|network|host)|chown|chmod|install -|systemctl|mount -t|Set-VM)`)

// remedyPieces returns each second part of a remedy: from 0 its prose, from 1 its commands.
func remedyPieces(remedy string, from int) (all []string) {
	for i, piece := range strings.Split(remedy, "`") {
		if i%2 == from {
			all = append(all, piece)
		}
	}
	return all
}

// writeSection writes lines as a person sees them. Only a command may exceed the line width, and
// it must stand alone on its line.
func writeSection(t *testing.T, b *strings.Builder, name string, lines []Line) {
	t.Helper()
	b.WriteString("== " + name + "\n")
	var text strings.Builder
	if err := Write(&text, lines, 80); err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, l := range lines {
		commands = append(commands, remedyPieces(l.Remedy, 1)...)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(text.String()) {
		alone := strings.TrimPrefix(strings.TrimSpace(line), "→ ")
		seen[alone] = true
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && !slices.Contains(commands, alone) {
			t.Errorf("%s: %d columns: %s", name, n, line)
		}
	}
	for _, c := range commands {
		if !seen[c] {
			t.Errorf("%s: the command %q has no line of its own in\n%s", name, c, &text)
		}
	}
	b.WriteString(text.String())
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	path := "testdata/" + file + ".golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// reportOn converts a judge that writes to a report.
func reportOn[F any](subject string, judge func(*report, F)) func(F) []Line {
	return func(facts F) []Line {
		r := &report{subject: subject}
		judge(r, facts)
		return r.lines
	}
}
