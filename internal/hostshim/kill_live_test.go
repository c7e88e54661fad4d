package hostshim_test

import (
	"errors"
	"slices"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// stepsOf returns the names of the steps of an enable and of a disable.
func stepsOf(t *testing.T) (enable, disable []string) {
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

// killAfterStep enables or disables by another process, which kills itself by SIGKILL
// after a step.
func (l *lab) killAfterStep(what, step string) {
	l.Helper()
	testnet.In(l.T, l.host, func() {
		testnet.RequireKilled(l, testnet.ProgramKilledAfter(step, what, l.dirs.Config, l.dirs.State))
	})
}

// newQuickLab returns a lab with the container a and a network with short probes.
func newQuickLab(t *testing.T) (l *lab, lan *specs.Network, before string) {
	l = newLab(t)
	lan = l.network("lan", "conflict_timeout = \"1ms\"\n"+lanFile)
	l.mustStart(l.box("a", "lan"))
	return l, lan, l.snapshot()
}

// wantRoute checks that the host has its route to a.
func (l *lab) wantRoute(what string) {
	l.Helper()
	if got := l.routes("berth-lan"); got != "192.0.2.64" {
		l.Errorf("%s: routes %q", what, got)
	}
}

func TestAStepThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	enable, _ := stepsOf(t)
	l, lan, before := newQuickLab(t)
	for _, name := range enable {
		broken := errors.New("broken")
		l.step = func(done string) error {
			if done == name {
				return broken
			}
			return nil
		}
		if _, err := l.enable(lan); !errors.Is(err, broken) || err.Error() != `host shim of "lan": broken` {
			t.Fatalf("%s: error %v, want only %v", name, err, broken)
		}
		l.requireUnchanged(name, before)
	}
	l.step = nil
	l.mustEnable(lan)
	l.wantRoute("afterwards")
}

func TestAKilledEnable(t *testing.T) {
	t.Parallel()
	enable, _ := stepsOf(t)
	l, lan, before := newQuickLab(t)
	for _, name := range enable {
		l.killAfterStep("enable", name)
		l.mustEnable(lan) // a second attempt works at once
		l.wantRoute(name)
		l.mustDisable("lan")
		l.requireUnchanged(name+", enable and disable", before)

		l.killAfterStep("enable", name)
		l.mustReconcile()
		if slices.Contains([]string{"commit", "add routes"}, name) { // the shim is complete
			l.wantRoute(name + ", gc")
			l.mustDisable("lan")
		}
		l.requireUnchanged(name+", gc", before)
	}
	l.killAfterStep("enable", "probe for conflicts")
	l.mustDisable("lan")
	l.requireUnchanged("disable of what is half made", before)
}

func TestAKilledDisable(t *testing.T) {
	t.Parallel()
	_, disable := stepsOf(t)
	l, lan, before := newQuickLab(t)
	for _, name := range disable {
		for what, after := range map[string]func(){
			"disable":            func() { l.mustDisable("lan") },
			"gc":                 func() { l.mustReconcile() },
			"enable and disable": func() { l.mustEnable(lan); l.mustDisable("lan") },
		} {
			l.mustEnable(lan)
			l.killAfterStep("disable", name)
			if all := l.list(); len(all) > 0 && all[0].State != specs.HostMaking {
				t.Errorf("%s: half away: %+v", name, all)
			}
			after()
			l.requireUnchanged(name+", "+what, before)
		}
	}
}
