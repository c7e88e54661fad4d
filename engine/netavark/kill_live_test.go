package netavark

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"berth/engine/doortest"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/internal/testnet"
)

// killAfter is the environment variable that makes this test binary a plugin that kills itself
// after a step of the hook.
const killAfter = "BERTH_NETAVARK_KILL_AFTER"

func TestMain(m *testing.M) {
	if os.Getenv(killAfter) != "" {
		os.Exit(runAndDie())
	}
	testnet.Main(m)
}

func runAndDie() int {
	dirs := config.Dirs{Config: os.Args[1], State: os.Args[2], BPFFS: os.Args[3]}
	h := &hook.Hook{Dirs: dirs, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler)}
	h.Step = testnet.KillAfter(killAfter)
	p := &Plugin{Hook: h, Version: "v1", Stdin: os.Stdin, Stdout: os.Stdout}
	return p.Run(context.Background(), os.Args[4:])
}

// program returns a command in a process that kills itself after a step.
func (h *host) program(step, input string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{h.Dirs.Config, h.Dirs.State, h.Dirs.BPFFS}, args...)...)
	cmd.Env = append(os.Environ(), killAfter+"="+step)
	cmd.Stdin = strings.NewReader(h.Fill(input))
	return cmd
}

// steps are the steps of a setup after which something exists.
var steps = []string{"claim", "register", "create the interfaces", "set them up", "add addresses", "add routes", "commit"}

// TestKilled kills a setup by SIGKILL after each step. podman then calls teardown, which leaves
// nothing, and the next setup works.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, step := range steps {
		ns, call := testnet.Namespace(t), callOn("c1", named, "eth0", "")
		out, err := h.program(step, call, "setup", ns.Path()).CombinedOutput()
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("after step %q: %v: %s", step, err, out)
		}
		h.mustRun(call, "teardown", ns.Path())
		h.RequireNothing(ns)
		h.mustRun(call, "setup", ns.Path())
		h.mustRun(call, "teardown", ns.Path())
		h.RequireNothing(ns)
	}
}

// TestRandomKills kills setups and teardowns at random times, a hundred times.
func TestRandomKills(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := func(i int) string { return fmt.Sprint("box", i) }
	h.SurviveKills(func(all []*testnet.NS) doortest.Door {
		run := func(command string) func(int) *exec.Cmd {
			return func(i int) *exec.Cmd {
				return h.program("never", callOn(id(i), named, "eth0", ""), command, all[i].Path())
			}
		}
		return doortest.Door{Start: run("setup"), End: run("teardown"), ID: id}
	})
}
