package command

import (
	"strings"
	"testing"
)

func TestErrorsHaveTheCommandAndTheEndOfItsOutput(t *testing.T) {
	const script = "seq 1 100 >&2; exit 3"
	_, err := Output(t.Context(), "", "sh", "-c", script)
	for name, err := range map[string]error{"Output": err, "Execute": Execute(t.Context(), nil, "sh", "-c", script)} {
		if err == nil || !strings.HasPrefix(err.Error(), "sh -c "+script+": exit status 3: 81\n") || !strings.HasSuffix(err.Error(), "\n100") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExecuteAddsToTheEnvironment(t *testing.T) {
	t.Setenv("BERTH_COMMAND_A", "a")
	if err := Execute(t.Context(), []string{"BERTH_COMMAND_B=b"}, "sh", "-c", `test "$BERTH_COMMAND_A$BERTH_COMMAND_B" = ab`); err != nil {
		t.Error(err)
	}
}

func TestOutputIsStandardOutputInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	if out, err := Output(t.Context(), dir, "sh", "-c", "pwd; echo warning >&2"); err != nil || out != dir+"\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
