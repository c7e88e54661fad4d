package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/check"
	"berth/engine/install"
	"berth/internal/config"
	"berth/internal/engineversion"
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
				if args[0] == "network" || slices.Contains(args, "--device") {
					return output{stderr: "unsupported driver"}, refused
				}
				if args[0] != "run" || trialKey(args) == "" {
					return output{stderr: warning}, nil
				}
				return c.run(d, args)
			}
			lines := d.Try(t.Context(), nil)
			if len(lines) != 3 || lines[1].Result != check.Warn || lines[2].Result != check.Warn || lines[0].Result != c.want || !strings.Contains(lines[0].Message, c.says) {
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

// TestTryOfAnInstalledEngine requires that the remedy is not an installation that exists already.
func TestTryOfAnInstalledEngine(t *testing.T) {
	for program, want := range map[string]string{"dockerd": "systemctl reload docker", "podman": "berth check"} {
		d := newDoctor(t, program, "docker")
		name := map[string]string{"dockerd": install.Docker, "podman": install.Podman}[program]
		p, err := install.Install(install.Options{Engine: name, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path, Version: d.Version})
		if err == nil {
			err = p.Apply()
		}
		if err != nil {
			t.Fatal(err)
		}
		d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
			if trialKey(args) != "" {
				return output{stderr: "unknown or invalid runtime name: berth"}, errors.New("exit status 125")
			}
			return output{}, nil
		}
		l := d.Try(t.Context(), []string{name})[0]
		if l.Result != check.Fail || !strings.Contains(l.Remedy, want) || strings.Contains(l.Remedy, "berth install") {
			t.Errorf("%s: %+v, want the remedy %q", name, l, want)
		}
	}
}

// TestTryWithoutTheCommandLine requires that an engine without its command line is not one whose daemon
// must be started, and that the reason of a daemon that does not answer is shown.
func TestTryWithoutTheCommandLine(t *testing.T) {
	for program, line := range map[string]string{"dockerd": "docker", "containerd": "ctr"} {
		d := newDoctor(t, program)
		if err := os.Remove(filepath.Join(d.Bin, line)); err != nil {
			t.Fatal(err)
		}
		d.Run = func(context.Context, []byte, string, ...string) (output, error) {
			return output{stderr: "permission denied while trying to connect"}, errors.New("exit status 1")
		}
		l := d.Try(t.Context(), nil)[0]
		if l.Result != check.Warn || !strings.Contains(l.Message, line+" is not on PATH") || strings.Contains(l.Remedy, "daemon") {
			t.Errorf("%s: %+v", program, l)
		}
		d.writeFile(t, "usr/bin/"+line, "")
		if l = d.Try(t.Context(), nil)[0]; !strings.Contains(l.Message, "does not answer: permission denied") || l.Remedy != "start its daemon" {
			t.Errorf("%s: %+v", program, l)
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
		d.Version = func(string) (engineversion.Version, error) { return engineversion.Parse(c.version) }
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

// TestTryDevices requires that a device passes if berth-hook's refusal of its network comes back,
// that it is written for the trial alone, and that an engine without devices is warned about.
func TestTryDevices(t *testing.T) {
	const missing = "unresolvable CDI devices "
	refused := errors.New("exit status 126")
	for name, c := range map[string]struct {
		answer func(d *Doctor, device string) (output, error)
		want   check.Result
		says   string
	}{
		"found": {func(_ *Doctor, device string) (output, error) {
			return output{stderr: "berth-hook: " + device + ": " + unknownNetwork}, refused
		}, check.Pass, "shows berth-hook's errors"},
		"only the log tells": {func(d *Doctor, device string) (output, error) {
			d.writeFile(t, "log/state/hook.log", device+": "+unknownNetwork)
			return output{}, refused
		}, check.Pass, "only in"},
		"not found":   {func(_ *Doctor, device string) (output, error) { return output{stderr: missing + device}, refused }, check.Warn, missing},
		"without it":  {func(*Doctor, string) (output, error) { return output{}, nil }, check.Fail, "without berth-hook"},
		"no text":     {func(*Doctor, string) (output, error) { return output{}, refused }, check.Warn, "exit status 126"},
		"no such key": {func(*Doctor, string) (output, error) { return output{stderr: "unknown flag: --device"}, refused }, check.Warn, "unknown flag"},
	} {
		d := newDoctor(t, "podman")
		d.Dirs.State = filepath.Join(d.Root, "log")
		d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
			i := slices.Index(args, "--device")
			if i < 0 {
				return output{}, nil
			}
			device := args[i+1]
			text, err := os.ReadFile(filepath.Join(d.Root, deviceDir, strings.TrimPrefix(device, "berth/network=")+".json"))
			if err != nil || !strings.Contains(string(text), d.Bin+"/berth-hook") {
				t.Errorf("%s: device file %s, %v", name, text, err)
			}
			return c.answer(d, device)
		}
		lines := d.Try(t.Context(), nil)
		if l := lines[1]; l.Check != "devices" || l.Result != c.want || !strings.Contains(l.Message, c.says) {
			t.Errorf("%s: %+v, want %s with %q", name, l, c.want, c.says)
		}
		if _, err := os.Stat(filepath.Join(d.Root, deviceDir)); !os.IsNotExist(err) {
			t.Errorf("%s: the directory of the device is left: %v", name, err)
		}
	}
}

// TestTryDevicesAtOnce requires that several trials at once do not disturb each other, and leave
// nothing, not even the directory of the devices.
func TestTryDevicesAtOnce(t *testing.T) {
	d := newDoctor(t, "podman")
	d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
		i := slices.Index(args, "--device")
		if i < 0 {
			return output{}, nil
		}
		all, err := os.ReadDir(filepath.Join(d.Root, deviceDir))
		if device := strings.TrimPrefix(args[i+1], "berth/network="); err != nil || len(all) != 1 || all[0].Name() != device+".json" {
			t.Errorf("the devices beside %s are %v, %v", device, all, err)
		}
		return output{stderr: args[i+1] + ": " + unknownNetwork}, errors.New("exit status 126")
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if l := d.Try(t.Context(), nil)[1]; l.Check != "devices" || l.Result != check.Pass {
				t.Errorf("%+v, want that it passes", l)
			}
		})
	}
	all.Wait()
	if _, err := os.Stat(filepath.Join(d.Root, deviceDir)); !os.IsNotExist(err) {
		t.Errorf("the directory of the devices is left: %v", err)
	}
}

// TestTryPods requires that pods are tried with the default handler, with a container that does not
// start, and with berth's handler, that each of them is removed, and that a host without crictl is named
// only if pods alone can be tried.
func TestTryPods(t *testing.T) {
	refused := errors.New("exit status 1")
	for name, c := range map[string]struct {
		engine string
		fails  func(annotated, handled bool) bool
		text   string // of a sandbox
		create string // of a container
		want   check.Result
		says   string
	}{
		"NRI":       {"crio", func(annotated, _ bool) bool { return annotated }, unknownNetwork, "no image", check.Pass, "arrive, and"},
		"handler":   {"crio", func(_, handled bool) bool { return handled }, unknownNetwork, "no image", check.Pass, "runtime handler berth"},
		"neither":   {"crio", func(_, handled bool) bool { return handled }, "no runtime for berth", "no image", check.Warn, "without berth"},
		"container": {"crio", func(_, handled bool) bool { return handled }, "no runtime for berth", unknownNetwork, check.Pass, "the pod's container"},
		"broken":    {"crio", func(_, _ bool) bool { return true }, "no CNI", "no image", check.Fail, "even a pod without berth"},
		"other":     {"crio", func(annotated, _ bool) bool { return annotated }, "no CNI", "no image", check.Fail, "before berth runs"},
		"no crio":   {"containerd", nil, "", "", check.Warn, "does not answer"},
		"not here":  {"", nil, "", "", check.Warn, "crictl"},
	} {
		d := newDoctor(t, "crio", "crictl")
		if c.engine == "" {
			d = newDoctor(t, "crio")
		}
		pods := 0
		d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
			i := slices.IndexFunc(args, func(arg string) bool {
				return slices.Contains([]string{"version", "runp", "inspectp", "create", "pods", "rmp"}, arg)
			})
			switch args[i] {
			case "version":
				return output{stdout: "RuntimeName:  " + map[string]string{"crio": "cri-o", "containerd": "containerd"}[c.engine]}, nil
			case "pods":
				return output{stdout: strings.Repeat("id\n", pods)}, nil
			case "rmp":
				pods--
				return output{}, nil
			case "inspectp":
				return output{stdout: "pause:1\n"}, nil
			case "create":
				container, err := os.ReadFile(args[i+2])
				if err != nil || args[i+1] != "id" || !strings.Contains(string(container), `"pause:1"`) {
					t.Errorf("%s: create %v with %s, %v", name, args, container, err)
				}
				return output{stderr: string(container) + c.create}, refused
			}
			pods++
			text, err := os.ReadFile(args[len(args)-1])
			annotated := strings.Contains(string(text), "berth/networks")
			if err != nil || c.fails(annotated, slices.Contains(args, "--runtime")) {
				return output{stderr: string(text) + c.text}, errors.Join(refused, err)
			}
			return output{stdout: "id\n"}, nil
		}
		lines := d.Try(t.Context(), []string{"crio"})
		if len(lines) != 1 || lines[0].Check != "pods" || lines[0].Result != c.want || !strings.Contains(lines[0].Message, c.says) || pods != 0 {
			t.Errorf("%s: %+v, %d pods, want %s with %q and none", name, lines, pods, c.want, c.says)
		}
	}
}

// TestTryPodsWithoutThePlugin requires the remedy for a plugin that is installed and does not run:
// another installation would change nothing.
func TestTryPodsWithoutThePlugin(t *testing.T) {
	d := newDoctor(t, "crio", "crictl")
	d.Dirs = config.Dirs{Config: config.DefaultConfig, State: config.DefaultState, BPFFS: config.DefaultBPFFS}
	d.Run = func(_ context.Context, _ []byte, _ string, args ...string) (output, error) {
		if slices.Contains(args, "--runtime") {
			return output{}, errors.New("exit status 1")
		}
		return output{stdout: "RuntimeName:  cri-o"}, nil
	}
	remedy := func() string {
		lines := d.Try(t.Context(), []string{"crio"})
		return lines[len(lines)-1].Remedy
	}
	if got := remedy(); !strings.Contains(got, "berth install --engine nri") {
		t.Errorf("not installed: remedy %q", got)
	}
	p, err := install.Install(install.Options{Engine: install.NRI, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path, Version: d.Version})
	if err == nil {
		err = p.Apply()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := remedy(); strings.Contains(got, "install") || !strings.Contains(got, "restart") {
		t.Errorf("installed: remedy %q", got)
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
			"docker run --rm --name ID --network none --device DEVICE ID /berth-hook --version",
			"docker rmi --force ID",
			"docker network create --driver berth --ipam-driver berth --subnet 192.0.2.0/24 --gateway 192.0.2.1 --opt network=ID ID",
		},
		"nerdctl": {
			"nerdctl info",
			"nerdctl run --rm --name ID --network none --rootfs DIR /berth-hook --version",
			"nerdctl run --rm --name ID --network none --runtime BIN/berth-runtime --annotation KEY=1 --rootfs DIR /berth-hook --version",
			"nerdctl rm --force ID",
			"nerdctl run --rm --name ID --network none --device DEVICE --rootfs DIR /berth-hook --version",
			"nerdctl --cni-netconfpath DIR run --rm --name ID --network ID --rootfs DIR /berth-hook --version",
			"nerdctl --cni-netconfpath DIR rm --force ID",
		},
		"containerd": {
			"ctr version", "ctr run --rm --null-io --config FILE ID",
			"ctr run --rm --null-io --runc-binary BIN/berth-runtime --config FILE ID", "ctr container rm ID",
			"ctr run --rm --null-io --device DEVICE --rootfs DIR ID /berth-hook --version",
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
		case strings.HasPrefix(arg, "berth/network=berth-doctor-"):
			all[i] = "DEVICE"
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
