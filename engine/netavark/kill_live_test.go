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
	"berth/internal/state"
	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.MainOr(m, runPlugin) }

// runPlugin runs a plugin whose hook ends the process after a step. args are the directories, and
// the plugin's own arguments.
func runPlugin(args []string) int {
	dirs := doortest.DirsOf(args)
	h := &hook.Hook{Dirs: dirs, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler), Step: testnet.KillStep}
	p := &Plugin{Hook: h, Version: "v1", Stdin: os.Stdin, Stdout: os.Stdout}
	return p.Run(context.Background(), args[3:])
}

// program returns a command in a process that kills itself after a step.
func (h *host) program(step, input string, args ...string) *exec.Cmd {
	cmd := h.Program(step, args...)
	cmd.Stdin = strings.NewReader(h.Fill(input))
	return cmd
}

// TestKilled kills a setup by SIGKILL after each step. podman then calls teardown, which leaves
// nothing, and the next setup works.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, step := range doortest.Steps {
		ns, call := testnet.Namespace(t), callOn("c1", named, "eth0", "")
		testnet.RequireKilled(t, h.program(step, call, "setup", ns.Path()))
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
				return h.program(testnet.NoStep, callOn(id(i), named, "eth0", ""), command, all[i].Path())
			}
		}
		return doortest.Door{Start: run("setup"), End: run("teardown"), ID: id}
	})
}
