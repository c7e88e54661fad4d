package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/check"
	"berth/engine/install"
	"berth/internal/config"
	"berth/internal/engineversion"
)

// newDoctor returns a Doctor for a host with the named programs, and the command lines of daemons.
func newDoctor(t *testing.T, programs ...string) *Doctor {
	t.Helper()
	root := t.TempDir()
	bin := filepath.Join(root, "usr/bin")
	d := &Doctor{
		Root: root, Bin: bin, Path: []string{bin},
		Dirs:    config.Dirs{Config: config.DefaultConfig, State: t.TempDir(), BPFFS: config.DefaultBPFFS},
		Version: func(program string) (engineversion.Version, error) { return engineversion.Parse("version 28.2.2") },
	}
	for daemon, line := range map[string]string{"dockerd": "docker", "containerd": "ctr"} {
		if slices.Contains(programs, daemon) {
			programs = append(programs, line)
		}
	}
	d.Check = &check.Checker{Dirs: d.Dirs, Root: root, Path: d.Path}
	for _, name := range append(programs, "berth-hook", "berth-hook-client", "berth-runtime", "berth-nri", "berth-netavark", "berth-docker", "runc") {
		d.writeFile(t, "usr/bin/"+name, "")
	}
	return d
}

func (d *Doctor) writeFile(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(d.Root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// resultsOf returns the results of a subject, a word each.
func resultsOf(lines []check.Line, subject string) map[string]check.Result {
	all := make(map[string]check.Result)
	for _, l := range lines {
		if l.Subject == subject {
			all[l.Check] = l.Result
		}
	}
	return all
}

func TestLookReportsEngines(t *testing.T) {
	d := newDoctor(t, "dockerd")
	want := func(what string, configured check.Result, remedy string) {
		t.Helper()
		lines := d.Examine(nil)
		if diff := cmp.Diff(map[string]check.Result{"version": check.Pass, "configured": configured}, resultsOf(lines, "docker")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if last := lines[len(lines)-1]; last.Remedy != remedy {
			t.Errorf("%s: remedy %q, want %q", what, last.Remedy, remedy)
		}
	}
	want("not configured", check.Warn, "`berth install --engine docker`")
	d.writeFile(t, "etc/docker/daemon.json", `{"runtimes": {"b": {"path": "/opt/berth-runtime"}}}`)
	want("configured by hand, without the program", check.Fail, "`berth install --engine docker`")
	d.writeFile(t, "opt/berth-runtime", "")
	want("configured by hand", check.Pass, "")
	p, err := install.Install(install.Options{Engine: install.Docker, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path, Version: d.Version, Flags: install.Flags{Default: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	want("installed", check.Pass, "")
	d.writeFile(t, "etc/docker/daemon.json", "{}")
	want("installed, and changed", check.Warn, "`berth install --engine docker --default`")
	d.writeFile(t, "etc/docker/daemon.json", "{")
	want("installed, and broken", check.Fail, "correct this, then run `berth install --engine docker`")
}

func TestLookReportsNamedEngines(t *testing.T) {
	d := newDoctor(t, "dockerd", "podman")
	lines := d.Examine([]string{"podman", "crio"})
	if len(resultsOf(lines, "docker")) > 0 || resultsOf(lines, "podman")["version"] != check.Pass {
		t.Errorf("lines %v", lines)
	}
	if got := resultsOf(lines, "crio")["version"]; got != check.Fail {
		t.Errorf("an engine that is not here is %q", got)
	}
}

func TestLookWithoutEngines(t *testing.T) {
	d := newDoctor(t)
	if got := resultsOf(d.Examine(nil), "host")["engines"]; got != check.Warn {
		t.Errorf("no engine is %q", got)
	}
	if err := os.Remove(filepath.Join(d.Bin, "berth-hook")); err != nil {
		t.Fatal(err)
	}
	if got := resultsOf(d.Examine(nil), "berth")["programs"]; got != check.Fail {
		t.Errorf("no hook is %q", got)
	}
}

func TestAnOldEngine(t *testing.T) {
	d := newDoctor(t, "dockerd")
	d.Version = func(string) (engineversion.Version, error) { return engineversion.Parse("Docker version 20.10.24") }
	lines := d.Examine(nil)
	if got := resultsOf(lines, "docker")["version"]; got != check.Warn {
		t.Errorf("an old docker is %q", got)
	}
	for _, l := range lines {
		if strings.Contains(l.Message+l.Remedy, "%") {
			t.Errorf("%+v has a verb of fmt", l)
		}
	}
}

// TestEnginesThatNeedNothing: ctr and nerdctl take berth-runtime by a flag.
func TestEnginesThatNeedNothing(t *testing.T) {
	d := newDoctor(t, "containerd", "nerdctl")
	for _, l := range d.Examine([]string{"containerd", "nerdctl"}) {
		if l.Check == "configured" && (l.Result != check.Pass || !strings.Contains(l.Message, "needs no configuration") || !strings.Contains(l.Message, d.Bin+"/berth-runtime")) {
			t.Errorf("%+v, want a pass with the flag", l)
		}
	}
}

func TestLookReportsNRIAndCDI(t *testing.T) {
	d := newDoctor(t, "containerd")
	for _, name := range []string{"nri", "cdi"} {
		lines := d.Examine([]string{name})
		if got := resultsOf(lines, name)["configured"]; got != check.Warn || len(resultsOf(lines, "containerd")) > 0 {
			t.Errorf("%s: %+v, want a warning that it is not installed, and no other engine", name, lines)
		}
		if !slices.Contains(Engines(), name) {
			t.Errorf("%s is not to be asked for", name)
		}
	}
	lines := d.Try(t.Context(), []string{"nri"})
	if len(lines) != 1 || lines[0].Subject != "nri" || lines[0].Result != check.Warn {
		t.Errorf("tried: %+v", lines)
	}
}

// TestPageShowsDoctor requires that the example in docs/commands.md is a report on a host with
// podman and containerd.
func TestPageShowsDoctor(t *testing.T) {
	d := newDoctor(t, "podman", "containerd", "ctr", "crun")
	d.Bin = filepath.Join(d.Root, "usr/local/bin")
	for _, name := range []string{"berth-hook", "berth-hook-client", "berth-runtime", "berth-nri", "berth-netavark", "berth-docker"} {
		d.writeFile(t, "usr/local/bin/"+name, "")
	}
	d.Version = func(program string) (engineversion.Version, error) {
		return engineversion.Parse(map[string]string{"podman": "podman version 5.4.2", "containerd": "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6"}[filepath.Base(program)])
	}
	p, err := install.Install(install.Options{Engine: install.Podman, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path, Version: d.Version})
	if err == nil {
		err = p.Apply()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
		if i := slices.Index(args, "--device"); i >= 0 {
			return output{stderr: args[i+1] + ": there is no such network in /etc/berth"}, errors.New("exit status 126")
		}
		if args[0] == "network" {
			return output{stderr: args[len(args)-1] + ": there is no such network in /etc/berth"}, errors.New("exit status 125")
		}
		if refused := refusalOf(args); refused != "" {
			return output{stderr: refused}, errors.New("exit status 126")
		}
		return output{}, nil
	}
	d.listen(t)
	var all []check.Line
	lines := append(d.Examine(nil), d.Try(t.Context(), nil)...)
	for _, subject := range []string{"berth", "podman", "containerd"} {
		for _, l := range lines {
			if l.Subject == subject {
				l.Message = strings.ReplaceAll(l.Message, d.Root, "")
				all = append(all, l)
			}
		}
	}
	var shown strings.Builder
	page, err := os.ReadFile("../../../../docs/commands.md")
	if err = errors.Join(err, check.Write(&shown, all, 80)); err != nil {
		t.Fatal(err)
	}
	if want := "# berth doctor --try\n" + shown.String() + "```\n"; !strings.Contains(string(page), want) {
		t.Errorf("docs/commands.md does not show\n%s", want)
	}
}

// refusalOf returns berth-hook's error for the container that a command line starts, or "" if it
// has no annotation of a trial.
func refusalOf(args []string) string {
	key := trialKey(args)
	if i := slices.Index(args, "--config"); i >= 0 && slices.Contains(args, "--runc-binary") {
		config, _ := os.ReadFile(args[i+1]) // if there is none, there is no annotation
		key = string(config)
	}
	if key == "" {
		return ""
	}
	return "Error: berth-hook: annotation " + key + ": unknown; the annotations of berth are berth/networks, …"
}
