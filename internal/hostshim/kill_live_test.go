package hostshim_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// steps returns the names of the steps of an enable and of a disable.
func steps(t *testing.T) (enable, disable []string) {
	l := newLab(t)
	lan := l.network("lan", lanFile)
	var names []string
	l.step = func(name string) error { names = append(names, name); return nil }
	l.mustEnable(lan)
	enable, names = names, nil
	l.mustDisable("lan")
	if len(enable) < 10 || len(names) < 4 {
		t.Fatalf("steps %q, %q", enable, names)
	}
	return enable, names
}

// kill enables or disables by another process, which dies by SIGKILL after a
// step.
func (l *lab) kill(what, step string) {
	l.Helper()
	var out []byte
	var err error
	testnet.In(l.T, l.host, func() {
		cmd := exec.Command(os.Args[0], what, l.dirs.Config, l.dirs.State)
		cmd.Env = append(os.Environ(), killAfter+"="+step)
		out, err = cmd.CombinedOutput()
	})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		l.Fatalf("%s ended otherwise than by SIGKILL: %v\n%s", what, err, out)
	}
}

func TestAStepThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	enable, _ := steps(t)
	for _, name := range enable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			lan := l.network("lan", lanFile)
			l.mustStart(l.box("a", "lan"))
			before := l.snapshot()
			broken := errors.New("broken")
			l.step = func(done string) error {
				if done == name {
					return broken
				}
				return nil
			}
			if _, err := l.enable(lan); !errors.Is(err, broken) || err.Error() != `host shim of "lan": broken` {
				t.Fatalf("error %v, want only %v", err, broken)
			}
			l.same("a failed step", before)
			l.step = nil
			l.mustEnable(lan)
			l.ping(l.host, "192.0.2.64", true)
		})
	}
}

func TestAKilledEnable(t *testing.T) {
	t.Parallel()
	enable, _ := steps(t)
	for _, name := range enable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			lan := l.network("lan", lanFile)
			l.mustStart(l.box("a", "lan"))
			before := l.snapshot()
			l.kill("enable", name)
			l.mustEnable(lan) // the same works at once
			l.ping(l.host, "192.0.2.64", true)
			l.mustDisable("lan")
			l.same("enable and disable", before)
			l.kill("enable", name)
			l.mustReconcile()
			if complete := slices.Contains([]string{"commit", "add routes"}, name); complete {
				l.ping(l.host, "192.0.2.64", true)
				l.mustDisable("lan")
			}
			l.same("gc", before)
			l.kill("enable", name)
			l.mustDisable("lan")
			l.same("disable at once", before)
		})
	}
}

func TestAKilledDisable(t *testing.T) {
	t.Parallel()
	_, disable := steps(t)
	for _, name := range disable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			lan := l.network("lan", lanFile)
			l.mustStart(l.box("a", "lan"))
			before := l.snapshot()
			for what, after := range map[string]func(){
				"disable":   func() { l.mustDisable("lan") },
				"gc":        func() { l.mustReconcile() },
				"enable it": func() { l.mustEnable(lan); l.mustDisable("lan") },
			} {
				l.mustEnable(lan)
				l.kill("disable", name)
				if all := l.list(); len(all) > 0 && all[0].State != specs.HostMaking {
					t.Errorf("half away: %+v", all)
				}
				after()
				l.same(what, before)
			}
		})
	}
}
