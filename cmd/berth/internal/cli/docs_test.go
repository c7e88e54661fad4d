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
