package cni

import (
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"berth/engine/doortest"
	"berth/hook"
	"berth/internal/release"
	"berth/internal/testnet"
	"berth/network"
)

func logOf(n *node) *slog.Logger { return slog.New(slog.NewTextHandler(n.Output(), nil)) }

// TestKilled kills ADD by SIGKILL after each step, and requires that each way of cleaning up
// leaves nothing and the next ADD works.
func TestKilled(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	cleanups := map[string]func(r request){
		"GC":       func(request) { n.must("GC", request{conf: gcConf()}) },
		"DEL":      func(r request) { n.must("DEL", r) },
		"berth gc": func(r request) { n.collect(r) },
	}
	for _, step := range doortest.Steps {
		for name, clean := range cleanups {
			ns := testnet.Namespace(t)
			r := on(ns, "c1", conf("1.1.0", ""))
			testnet.RequireKilled(t, n.program(step, "ADD", r))
			clean(r)
			if t.Log(step, name); n.Records() != "" {
				n.RequireNothing(ns)
				return
			}
			n.must("ADD", r)
			n.must("DEL", r)
			n.RequireNothing(ns)
		}
	}
}

// program returns a command in a process that kills itself after a step.
func (n *node) program(step, command string, r request) *exec.Cmd {
	r.command = command
	cmd := n.Program(step)
	for key, value := range r.env() {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	cmd.Stdin = strings.NewReader(r.conf)
	return cmd
}

// TestRandomKills kills ADD and DEL at random times, a hundred times.
func TestRandomKills(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	id := func(i int) string { return fmt.Sprint("box", i) }
	n.SurviveKills(func(all []*testnet.NS) doortest.Door {
		run := func(command string) func(int) *exec.Cmd {
			return func(i int) *exec.Cmd { return n.program(testnet.NoStep, command, on(all[i], id(i), conf("1.1.0", ""))) }
		}
		return doortest.Door{Start: run("ADD"), End: run("DEL"), ID: id}
	})
}

// collect runs the collection of berth gc. The namespace of a committed attachment must end first.
func (n *node) collect(r request) {
	n.Helper()
	if all := n.Attachments(r.id); len(all) == 1 && all[0].Phase == "attached" {
		n.must("DEL", r)
	}
	host, err := network.NewHandle()
	if err != nil {
		n.Fatal(err)
	}
	defer host.Close()
	rel := &release.Releaser{Store: n.Store, BPFFS: n.Dirs.BPFFS, Host: host, Log: logOf(n)}
	if _, err := rel.Collect(n.Context(), hook.Timeout); err != nil {
		n.Fatal(err)
	}
}

// TestCrowd adds and deletes many containers at once, and requires that all addresses differ.
func TestCrowd(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const crowd = 20
	outs := make([]string, crowd)
	all := make([]*testnet.NS, crowd)
	for i := range all {
		all[i] = testnet.Namespace(t)
	}
	each := func(do func(i int, r request)) {
		var wg sync.WaitGroup
		for i := range crowd {
			wg.Go(func() { do(i, on(all[i], fmt.Sprint("c", i), conf("1.1.0", ""))) })
		}
		wg.Wait()
	}
	each(func(i int, r request) {
		out, bad := n.callPlugin("ADD", r)
		if outs[i] = out; bad.Code != 0 {
			t.Errorf("ADD %d: %d %s", i, bad.Code, bad.Msg)
		}
	})
	seen := make(map[string]bool)
	for _, out := range outs {
		for _, ip := range n.added(out).IPs {
			seen[ip.Address.String()] = true
		}
	}
	if len(seen) != crowd {
		t.Errorf("%d addresses: %v", len(seen), seen)
	}
	each(func(i int, r request) {
		if _, bad := n.callPlugin("DEL", r); bad.Code != 0 {
			t.Errorf("DEL %d: %d %s", i, bad.Code, bad.Msg)
		}
	})
	n.RequireNothing(all...)
}
