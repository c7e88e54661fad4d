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
)

// trialKey returns the annotation of a trial, from an engine's command line, or "" for a plain
// container.
func trialKey(args []string) string {
	i := slices.Index(args, "--annotation")
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(args[i+1], "=1")
}

func TestTryEngines(t *testing.T) {
	refused := errors.New("exit status 126")
	const warning = "WARN cgroups are not as they should be\n"
	for name, c := range map[string]struct {
		run  func(d *Doctor, args []string) (output, error)
		want check.Result
		says string
	}{
		"it arrives and is shown": {func(_ *Doctor, args []string) (output, error) {
			return output{stderr: warning + "Error: berth-hook: annotation \"" + trialKey(args) + "\": want berth/networks, or …"}, refused
		}, check.Pass, "shows berth-hook's errors"},
		"it arrives, and only the log tells": {func(d *Doctor, args []string) (output, error) {
			path := filepath.Join(d.Dirs.State, "state/hook.log")
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("error="+trialKey(args)), 0o600))
			return output{stderr: "Error: crun: error executing hook"}, errors.Join(refused, err)
		}, check.Pass, "hook.log"},
		"it is ignored": {func(*Doctor, []string) (output, error) {
			return output{"berth-hook v1\n", warning}, nil
		}, check.Fail, "ignores annotations"},
		"its own command is shown": {func(_ *Doctor, args []string) (output, error) {
			return output{stderr: "unknown flag in " + trialKey(args)}, refused
		}, check.Fail, "fails before berth-hook runs"},
		"another error": {func(*Doctor, []string) (output, error) {
			return output{"nothing of note", strings.Repeat(warning, 20) + "no space left\non device"}, refused
		}, check.Fail, "no space left; on device"},
		"no output": {func(*Doctor, []string) (output, error) { return output{}, refused }, check.Fail, "exit status 126"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoctor(t, "podman")
			d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
				if args[0] == "network" {
					return output{stderr: "unsupported driver"}, refused
				}
				if args[0] != "run" || trialKey(args) == "" {
					return output{stderr: warning}, nil
				}
				return c.run(d, args)
			}
			lines := d.Try(t.Context(), nil)
			if len(lines) != 2 || lines[1].Result != check.Warn || lines[0].Result != c.want || !strings.Contains(lines[0].Message, c.says) {
				t.Errorf("lines %+v, want %s with %q", lines, c.want, c.says)
			}
		})
	}
}

// TestTryOfABrokenEngine: an installation of berth does not repair an engine that starts nothing.
func TestTryOfABrokenEngine(t *testing.T) {
	for _, program := range []string{"podman", "dockerd", "containerd", "nerdctl"} {
		d := newDoctor(t, program)
		d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
			if args[0] == "run" {
				return output{stderr: "runc create failed: no cgroups"}, errors.New("exit status 125")
			}
			return output{}, nil
		}
		lines := d.Try(t.Context(), nil)
		if len(lines) != 1 || lines[0].Result != check.Fail || strings.Contains(lines[0].Remedy, "berth install") ||
			!strings.Contains(lines[0].Message, "even a container without berth: runc create failed") {
			t.Errorf("%s: %+v, want a failure of the engine itself", program, lines)
		}
	}
}

// TestTryDoors requires that a request by an engine's own networks passes if berth's refusal comes
// back, and that a docker is named that starts no container on such a network.
func TestTryDoors(t *testing.T) {
	refusal := func(args []string) (output, error) {
		return output{stderr: "Error: berth: network \"" + args[len(args)-1] + "\": there is no such network in /etc/berth"}, errors.New("exit status 1")
	}
	for name, c := range map[string]struct {
		engine, version string
		answer          func(args []string) (output, error)
		want            check.Result
		says            string
	}{
		"it arrives": {"podman", "podman version 5.8.6", refusal, check.Pass, "can be berth's"},
		"docker too": {"dockerd", "Docker version 28.5.2", refusal, check.Pass, "can be berth's"},
		"it does not": {"dockerd", "Docker version 28.5.2", func([]string) (output, error) {
			return output{stderr: "plugin \"berth\" not found"}, errors.New("exit status 1")
		}, check.Warn, "not found"},
		"another driver": {"podman", "podman version 5.8.6", func([]string) (output, error) { return output{}, nil }, check.Fail, "accepted"},
		"an old docker":  {"dockerd", "Docker version 26.1.5", refusal, check.Warn, "26.1.5 starts no container"},
	} {
		d := newDoctor(t, c.engine)
		d.Version = func(string) (install.Version, error) { return install.ParseVersion(c.version) }
		d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
			if args[0] == "network" && args[1] == "create" {
				return c.answer(args)
			}
			return output{}, nil
		}
		lines := d.Try(t.Context(), nil)
		if last := lines[len(lines)-1]; last.Check != "networks" || last.Result != c.want || !strings.Contains(last.Message, c.says) {
			t.Errorf("%s: %+v, want %s with %q", name, last, c.want, c.says)
		}
	}
}

// TestTryCommands checks the command lines for docker and nerdctl, which not every test
// machine has.
func TestTryCommands(t *testing.T) {
	for engine, want := range map[string][]string{
		"dockerd": {
			"docker version", "docker import - ID",
			"docker run --rm --name ID --network none ID /berth-hook --version",
			"docker run --rm --name ID --network none --runtime berth --annotation KEY=1 ID /berth-hook --version",
			"docker rm --force ID",
			"docker rmi --force ID",
			"docker network create --driver berth --ipam-driver berth --subnet 192.0.2.0/24 --gateway 192.0.2.1 --opt network=ID ID",
		},
		"nerdctl": {
			"nerdctl info",
			"nerdctl run --rm --name ID --network none --rootfs DIR /berth-hook --version",
			"nerdctl run --rm --name ID --network none --runtime BIN/berth-runtime --annotation KEY=1 --rootfs DIR /berth-hook --version",
			"nerdctl rm --force ID",
			"nerdctl --cni-netconfpath DIR run --rm --name ID --network ID --rootfs DIR /berth-hook --version",
			"nerdctl --cni-netconfpath DIR rm --force ID",
		},
		"containerd": {
			"ctr version", "ctr run --rm --null-io --config FILE ID",
			"ctr run --rm --null-io --runc-binary BIN/berth-runtime --config FILE ID", "ctr container rm ID",
		},
	} {
		d := newDoctor(t, engine)
		var got []string
		d.Run = func(_ context.Context, stdin []byte, program string, args ...string) (output, error) {
			if args[0] == "import" && len(stdin) == 0 {
				t.Error("an import of nothing")
			}
			got = append(got, strings.ReplaceAll(filepath.Base(program)+" "+strings.Join(withoutNames(args), " "), d.Bin, "BIN"))
			if args[0] == "run" && (trialKey(args) != "" || slices.Contains(args, "--runc-binary")) || args[0] == "network" || args[0] == "--cni-netconfpath" {
				return output{}, errors.New("exit status 1")
			}
			return output{}, nil
		}
		d.Try(t.Context(), nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", engine, diff)
		}
	}
}

// withoutNames returns arguments without the parts that differ in each run.
func withoutNames(args []string) []string {
	all := slices.Clone(args)
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "berth-doctor-"):
			all[i] = "ID"
		case strings.HasPrefix(arg, "network=berth-doctor-"):
			all[i] = "network=ID"
		case strings.HasPrefix(arg, "berth/doctor-"):
			all[i] = "KEY=1"
		case i > 0 && (args[i-1] == "--rootfs" || args[i-1] == "--cni-netconfpath"):
			all[i] = "DIR"
		case i > 0 && args[i-1] == "--config":
			all[i] = "FILE"
		}
	}
	return all
}

func TestTryWithoutDaemon(t *testing.T) {
	d := newDoctor(t, "dockerd", "crio")
	d.Run = func(context.Context, []byte, string, ...string) (output, error) {
		return output{}, errors.New("no socket")
	}
	for _, l := range d.Try(t.Context(), nil) {
		if l.Result != check.Warn || !strings.Contains(l.Message, "not tried") {
			t.Errorf("%+v, want a warning", l)
		}
	}
}
