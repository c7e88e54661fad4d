package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"berth/internal/state"
)

// eachCommand calls a function with the words of each command that has no subcommands.
func eachCommand(cmd *cobra.Command, each func(cmd *cobra.Command, words []string)) {
	for _, below := range cmd.Commands() {
		eachCommand(below, each)
	}
	if !cmd.HasSubCommands() && cmd.Name() != "help" {
		each(cmd, strings.Fields(cmd.CommandPath())[1:])
	}
}

// argumentsOf are the arguments that a command needs.
var argumentsOf = map[string][]string{
	"inspect": {"nobody"}, "network inspect": {"lan"}, "cluster forget": {"rack9"}, "stats": {"--no-stream"},
	"network connect": {"lan", "web", "--pid", "4194305"}, "host enable": {"lan"}, "host disable": {"lan"},
}

// TestJSONIsWholeOrAbsent runs each command that has --json if no agent runs, if there is one, and if
// no directory can be read. Its output is always a whole document, or nothing if it failed; then
// standard error has the reason.
func TestJSONIsWholeOrAbsent(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"no agent": func(w *world) {},
		"agent":    func(w *world) { w.startAgent(new(backend)) },
		"refusing": func(w *world) { w.startAgent(&backend{refusing: errors.New("refused")}) },
		"files":    func(w *world) { w.writeFile("etc", ""); w.writeFile("run", ""); w.writeFile("bpf", "") },
		"a bad network": func(w *world) {
			w.writeFile("etc/networks.d/lan.toml", "driver = 1\n")
			w.writeFile("etc/berth.toml", "[agent]\nmetrics = 1\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			eachCommand(newRoot(&w.env), func(cmd *cobra.Command, words []string) {
				if cmd.Flag("json") != nil {
					w.checkJSON(append(words, argumentsOf[strings.Join(words, " ")]...))
				}
			})
		})
	}
}

// checkJSON runs a command with --json, and also with a flag that it does not have.
func (w *world) checkJSON(words []string) {
	w.t.Helper()
	code := w.runMain(append(words, "--json")...)
	documents, hasFail := 0, false
	for d := json.NewDecoder(strings.NewReader(w.out.String())); ; documents++ {
		var any json.RawMessage
		err := d.Decode(&any)
		if err == io.EOF {
			break
		}
		if err != nil || string(any) == "null" {
			w.t.Errorf("berth %s --json: %v in\n%s", strings.Join(words, " "), err, &w.out)
			return
		}
		hasFail = hasFail || strings.Contains(string(any), `"result": "fail"`)
	}
	isStream := words[0] == "events" || words[0] == "stats"
	switch {
	case code == exitOK && documents != 1 && !isStream:
		w.t.Errorf("berth %s --json: success with %d documents:\n%s", strings.Join(words, " "), documents, &w.out)
	case code != exitOK && w.err.Len() == 0 && !hasFail:
		w.t.Errorf("berth %s --json: exit %d without a reason", strings.Join(words, " "), code)
	}
	w.mustFail(exitUsage, "unknown flag", append(words, "--json", "--no-such-flag")...)
}

// TestFullDisk: no command succeeds if its output cannot be written.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w := newWorld(t)
	w.startAgent(new(backend))
	w.putRecord(1, func(*state.Attachment) {})
	w.writeFile("etc/networks.d/lan.toml", "driver = 'macvlan'\nparent = 'eth1'\n")
	w.env.Out = full
	for _, line := range []string{
		"ps", "ps -q", "ps --json", "inspect web", "inspect web --json", "network ls", "network ls -q", "network inspect lan",
		"agent status", "version", "host ls", "cluster nodes", "check", "completion bash", "--help", "help ps", "ps --help",
		"--version", "doctor",
	} {
		if code := w.runMain(strings.Fields(line)...); code != exitFailed || !strings.Contains(w.err.String(), "no space left") {
			t.Errorf("berth %s: exit %d, %s", line, code, &w.err)
		}
	}
}
