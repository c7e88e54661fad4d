package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// terminalWidth is the width of the help texts, in columns.
const terminalWidth = 80

// TestHelp compares the help of each program beside berth with its golden file, and its
// width with a terminal's. UPDATE_GOLDEN=1 rewrites the files; test/lint checks their
// English, and the tests of the commands the help of berth.
func TestHelp(t *testing.T) {
	for program, flag := range map[string]string{
		"berthd": "--help", "berth-hook": "--help", "berth-nri": "--help", "berth-cni": "--help", "berth-dhcp": "--help",
		"berth-netavark": "--help", "berth-web": "--help", "berth-docker": "--help",
		"berth-runtime": "--berth-help",
	} {
		out, err := exec.Command(filepath.Join(build(t), program), flag).Output()
		if err != nil {
			t.Errorf("%s %s: %v", program, flag, err)
		}
		golden := "testdata/help/" + program + ".txt"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, out, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != string(want) {
			t.Errorf("%s %s: got\n%s\nwant\n%s", program, flag, out, want)
		}
		for line := range strings.Lines(string(out)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > terminalWidth {
				t.Errorf("%s %s: %d columns: %s", program, flag, n, line)
			}
		}
	}
}
