package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/hook"
	"berth/test/lab"
)

func init() {
	for name, start := range clientEngines {
		engines[name+"-served"] = served(start)
	}
	lives = append(lives, "runc-served", "podman-served")
}

// clientEngines run the client of the resident berth-hook from a config.json or from hooks.d, or by
// berth-runtime, which finds it beside itself.
var clientEngines = map[string]engineOf{
	"runc":        runc(lab.Wrapper{}),
	"crun":        crun,
	"podman":      podman(lab.Wrapper{}),
	"podman-crun": podmanWith("crun"),
	"containerd":  containerd(lab.Wrapper{}),
	"ctr-wrapped": containerd(lab.Wrapper{Runtime: "runc"}),
	"crun-late":   runc(lab.Wrapper{Runtime: "crun", Late: true}),
}

func crun(_ *testing.T, s *site) lab.Engine {
	return &lab.Runc{Host: s.Host, Rootfs: rootfs, Program: "crun"}
}

// served returns an engine that runs the client, with a service, which must do the work.
func served(start engineOf) engineOf {
	return func(t *testing.T, s *site) lab.Engine {
		s.useClient(t)
		s.startService(t)
		t.Cleanup(func() {
			n, runs := s.served(t), s.hookRuns(t)
			t.Logf("the service served %d runs, and %d were not", n, len(runs))
			if n == 0 || len(runs) > n {
				t.Errorf("the service served %d runs; beside it berth-hook ran as %q", n, runs)
			}
		})
		return start(t, s)
	}
}

// useClient makes the engines of a site run the client of the resident berth-hook. The berth-hook
// beside the client writes down its arguments before it runs.
func (s *site) useClient(t *testing.T) {
	t.Helper()
	dir := filepath.Join(s.Dir, "bin")
	must(t, os.Mkdir(dir, 0o755))
	programs, err := os.ReadDir(s.Bin)
	must(t, err)
	for _, one := range programs {
		name := one.Name()
		from, to := filepath.Join(s.Bin, name), filepath.Join(dir, name)
		switch name {
		case lab.HookClient, "berth-runtime": // they look beside themselves
			_, err = s.Run("install", "-m755", from, to)
		case "berth-hook":
			script := "#!/bin/sh\necho \"$@\" >>" + s.runsFile() + "\nexec " + from + " \"$@\"\n"
			must(t, os.WriteFile(to+".sh", []byte(script), 0o644))
			_, err = s.Run("install", "-m755", to+".sh", to)
		default:
			err = os.Symlink(from, to)
		}
		must(t, err)
	}
	s.Bin, s.HookProgram = dir, lab.HookClient
}

func (s *site) runsFile() string { return filepath.Join(s.Dir, "hook-runs") }

// hookRuns returns the arguments of each berth-hook that attached or released a container by itself.
func (s *site) hookRuns(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(s.runsFile())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
		first, _, _ := strings.Cut(line, " ")
		return line == "" || slices.Contains([]string{"serve", "report", hook.ProberStage}, first)
	})
}

// startService starts the resident berth-hook for the rest of the test.
func (s *site) startService(t *testing.T) *lab.Daemon {
	t.Helper()
	d, err := s.StartHookService("--log-level", "debug")
	must(t, err)
	t.Cleanup(func() { _ = d.Stop() }) // the test may have killed it
	return d
}

// served returns the number of runs that the service did; those of refused containers fail.
func (s *site) served(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "hook-service.log"))
	must(t, err)
	return strings.Count(string(text), `msg="a run `)
}

// TestServiceComesAndGoes starts and ends a container of each engine without a service, with one, and
// with one that was killed. A busy machine may let one of the four clients wait for the service for more
// than 100 ms, after which it runs berth-hook.
func TestServiceComesAndGoes(t *testing.T) {
	for name, start := range clientEngines {
		t.Run(name, func(t *testing.T) {
			s := newServedSite(t)
			s.useClient(t)
			e := start(t, s)
			before := s.snapshot(t)
			c := s.sleeper("one")
			attach := func() { s.startWhole(t, e, lab.Container{ID: c.ID}) }
			release := func() { must(t, e.Stop(c.ID)); s.expectNothingLeft(t, before) }
			byHook := func(what string, do func()) {
				runs := len(s.hookRuns(t))
				do()
				if len(s.hookRuns(t)) == runs {
					t.Errorf("%s: no berth-hook ran", what)
				}
			}
			late := 0
			byService := func(what string, do func()) {
				runs, served := len(s.hookRuns(t)), s.served(t)
				do()
				all := s.hookRuns(t)
				if len(all) == runs && s.served(t) > served {
					return
				}
				if late++; late > 1 {
					t.Errorf("%s: the service did %d runs, and berth-hook ran as %q", what, s.served(t)-served, all[runs:])
				}
			}
			byHook("a start without a service", attach)
			d := s.startService(t)
			byService("an end with a service", release)
			byService("a start with a service", attach)
			must(t, d.Kill())
			byHook("an end with a killed service", release)
			s.startService(t)
			byService("a start with a new service", attach)
			byService("an end with a new service", release)
		})
	}
}

// TestServiceReportsAlike compares the output of each engine for a refused container with that by
// berth-hook alone.
func TestServiceReportsAlike(t *testing.T) {
	for name, start := range clientEngines {
		t.Run(name, func(t *testing.T) {
			s := newServedSite(t)
			s.useClient(t)
			s.startService(t)
			before := s.snapshot(t)
			e := start(t, s)
			c := s.sleeper("refused")
			c.Annotations = annotations{"berth/networks": "lam"}
			refuse := func() string {
				_, err := e.Start(c)
				s.expectRefused(t, err, "berth/networks[0]", `"lam"`, "lan")
				if d := s.snapshot(t).difference(before); d != "" {
					t.Error(d)
				}
				return masked(err)
			}
			var byService string
			must(t, lab.Eventually(10*time.Second, func() error { // a busy machine may let the client wait too long
				runs := len(s.hookRuns(t))
				byService = refuse()
				if more := s.hookRuns(t)[runs:]; len(more) > 0 {
					return fmt.Errorf("beside the service berth-hook ran as %q", more)
				}
				return nil
			}))
			s.HookProgram = ""
			must(t, os.Remove(filepath.Join(s.Bin, lab.HookClient)))
			if p, ok := e.(*lab.Podman); ok {
				must(t, p.Setup())
			}
			if alone := refuse(); alone != byService {
				t.Errorf("by the service:\n%s\nby berth-hook alone:\n%s", byService, alone)
			}
		})
	}
}

// varying matches the parts of an engine's error that differ between two starts: a line of docker's
// log, which its command line writes if the container ends before it waits for it; times, IDs of
// containers, and the end of the client's name.
var varying = regexp.MustCompile(`time="[^"]*" level=error msg="Error waiting for container: [^\n]*|` +
	`time="[^"]*"|[0-9a-f]{64}|-client\b`)

// masked returns the text of an engine's error without those parts, and with single spaces.
func masked(err error) string {
	return strings.Join(strings.Fields(varying.ReplaceAllString(err.Error(), "")), " ")
}

// TestServiceRootless runs the hook as an engine without root does: in a namespace of users, as a user who
// cannot open the service's socket, and as one whom the service refuses. berth-hook runs, and prints the
// same as without a service.
func TestServiceRootless(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	s.useClient(t)
	s.startService(t)
	must(t, os.WriteFile(s.runsFile(), nil, 0o666))
	must(t, os.Chmod(s.runsFile(), 0o666))
	for name, as := range map[string][]string{
		"another user": {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "--user", "--map-root-user"},
		"root":         {"unshare", "--user", "--map-root-user"},
	} {
		run := func(program string) string {
			args := slices.Concat(as, []string{filepath.Join(s.Bin, program)}, s.Flags(), []string{"createRuntime"})
			cmd := s.Command(context.Background(), args[0], args[1:]...)
			cmd.Stdin = strings.NewReader(`{"ociVersion":"1.0.2","id":"x","status":"creating","pid":1,"annotations":{"berth/networks":"lan"}}`)
			_, err := lab.Terminal(cmd)
			if err == nil {
				t.Fatalf("%s: %s attaches a container", name, program)
			}
			return masked(err)
		}
		runs := len(s.hookRuns(t))
		byClient := run(lab.HookClient)
		if len(s.hookRuns(t)) != runs+1 {
			t.Errorf("%s: berth-hook ran as %q", name, s.hookRuns(t)[runs:])
		}
		if alone := run("berth-hook"); alone != byClient {
			t.Errorf("%s: by the client:\n%s\nby berth-hook:\n%s", name, byClient, alone)
		}
		t.Logf("%s: %s", name, byClient)
	}
	if n := s.served(t); n != 0 {
		t.Errorf("the service did %d runs", n)
	}
}
