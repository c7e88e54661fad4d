package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpTexts compares the help of every command with its golden file, and its width with
// a terminal's. test/lint checks the English of the files.
func TestHelpTexts(t *testing.T) {
	w := newWorld(t)
	root := newRoot(&w.env)
	addCompletion(root)
	var each func(cmd *cobra.Command)
	each = func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())
		got := w.mustRun(append(path[1:], "--help")...)
		compareGolden(t, "help/"+strings.Join(path, "-"), got)
		for line := range strings.Lines(got) {
			if n := len([]rune(line)); n > defaultWidth+1 {
				t.Errorf("%s --help: %d columns: %s", cmd.CommandPath(), n-1, line)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				each(sub)
			}
		}
	}
	each(root)
}

// TestReadmeShowsTop requires that the README's picture of berth top is the golden frame,
// without most of its empty lines.
func TestReadmeShowsTop(t *testing.T) {
	frame, err := os.ReadFile("../top/testdata/list-80x24.txt")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, picture, _ := strings.Cut(string(readme), "```text\nberth top")
	picture, _, _ = strings.Cut("berth top"+picture, "```\n")
	if picture = squeeze(picture); picture != squeeze(string(frame)) {
		t.Errorf("README.md does not show the frame:\n%s", frame)
	}
}

// squeeze removes empty lines and the blanks that end a line.
func squeeze(text string) (lines string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			lines += line + "\n"
		}
	}
	return lines
}
