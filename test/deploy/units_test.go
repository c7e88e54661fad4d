package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnits checks that systemd accepts every unit without a warning, and that its
// program exists and has its flags: one of berth's programs, or systemctl.
func TestUnits(t *testing.T) {
	t.Parallel()
	programs := build(t)
	units, err := filepath.Glob("../../deploy/systemd/*")
	if err != nil || len(units) < 3 {
		t.Fatalf("%q, %v", units, err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok && command != "" {
				words := strings.Fields(command)
				if words[0] == "systemctl" { // systemd's own
					continue
				}
				program, err := filepath.Rel(imageBin, words[0])
				if err != nil || strings.Contains(program, "/") {
					t.Errorf("%s: %q is not in %s", unit, words[0], imageBin)
				}
				checkFlags(t, filepath.Join(programs, program), words[1:])
			}
		}
		here := filepath.Join(dir, filepath.Base(unit))
		writeFile(t, here, strings.ReplaceAll(string(text), imageBin, programs))
		args = append(args, here)
	}
	// A warning begins with the unit's path. systemd may also warn of the machine.
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
