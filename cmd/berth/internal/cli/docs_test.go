package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestCommandsInDocs requires that the user documentation has every command and every flag.
func TestCommandsInDocs(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	w := newWorld(t)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		if cmd.HasSubCommands() || cmd.Name() == "help" {
			return
		}
		if !strings.Contains(page, "# "+cmd.CommandPath()) && !strings.Contains(page, "`"+cmd.CommandPath()) {
			t.Errorf("docs/commands.md has no %q", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, "--"+f.Name) {
				t.Errorf("docs/commands.md has no --%s of %q", f.Name, cmd.CommandPath())
			}
		})
	}
	visit(newRoot(&w.env))
}

// TestJSONInDocs requires that the page's table of JSON has every command with --json.
func TestJSONInDocs(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(text), "\n## JSON\n")
	listed := make(map[string]bool)
	for line := range strings.Lines(rows) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		group := ""
		for _, name := range strings.Split(strings.Split(line, "|")[1], ",") {
			name = strings.Trim(name, " `")
			if words := strings.Fields(name); len(words) > 1 {
				group = strings.Join(words[:len(words)-1], " ")
			} else {
				name = group + " " + name // the same group as the one before it
			}
			listed[name] = true
		}
	}
	w := newWorld(t)
	eachCommand(newRoot(&w.env), func(cmd *cobra.Command, _ []string) {
		if has := cmd.Flag("json") != nil; has != listed[cmd.CommandPath()] {
			t.Errorf("%s: has --json %v, is in the table of JSON %v", cmd.CommandPath(), has, !has)
		}
	})
}
