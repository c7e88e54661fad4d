package wrapper

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// findAs returns a find function for a runtime with a name.
func findAs(name string) func(string) (string, error) {
	return func(named string) (string, error) {
		if named != "" {
			return named, nil
		}
		return "/usr/sbin/" + name, nil
	}
}

var atCreate = Options{Attach: AtCreate}

// calls are command lines and their parsed form.
var calls = map[string]struct {
	runtime string // "" for runc
	args    string // separated by blanks
	want    Call   // without Runtime, Globals and Rest
}{
	"nothing":         {"", "", Call{}},
	"version":         {"", "--version", Call{}},
	"version first":   {"", "--version create x", Call{}},
	"features":        {"", "features", Call{Command: "features"}},
	"bundle":          {"", "create --bundle /b x", Call{Command: "create", ID: "x", Bundle: "/b"}},
	"bundle=":         {"", "create --bundle=/b x", Call{Command: "create", ID: "x", Bundle: "/b"}},
	"-bundle":         {"", "create -bundle /b x", Call{Command: "create", ID: "x", Bundle: "/b"}},
	"-bundle=":        {"", "run -bundle=/b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"-b":              {"", "run -b /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"-b=":             {"", "run -b=/b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"--b":             {"", "run --b /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"bundle is last":  {"", "run -b /a -b /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"behind the id":   {"", "run x -d --bundle /b", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"end of flags":    {"", "run -b /b -- -x -b /c", Call{Command: "run", ID: "-x", Bundle: "/b"}},
	"no bundle":       {"", "restore x", Call{Command: "restore", ID: "x"}},
	"a value's dash":  {"", "create --pid-file -b --bundle /b x", Call{Command: "create", ID: "x", Bundle: "/b"}},
	"command as root": {"", "--root create state x", Call{Command: "state", ID: "x", Root: "create"}},
	"command's help":  {"", "create --help", Call{}},
	"containerd's": {"", "--root /run/containerd/runc/default --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /s x",
		Call{Command: "create", ID: "x", Bundle: "/b", Root: "/run/containerd/runc/default", Log: "/b/log.json", LogFormat: "json"}},
	"conmon's": {"crun", "--log-format=json --log=/b/oci-log create --bundle /b --no-pivot --pid-file /b/pidfile x",
		Call{Command: "create", ID: "x", Bundle: "/b", Log: "/b/oci-log", LogFormat: "json"}},
	"one dash":               {"", "-root /r -log /l -debug -rootless true -criu /c create -b /b x", Call{Command: "create", ID: "x", Bundle: "/b", Root: "/r", Log: "/l"}},
	"booleans":               {"", "--debug=true --systemd-cgroup=false run -d --keep -b /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"log behind the command": {"", "create --log /l --log-format=json -b /b x", Call{Command: "create", ID: "x", Bundle: "/b", Log: "/l", LogFormat: "json"}},
	"cgroup manager":         {"crun", "--cgroup-manager disabled --log-level debug run -b /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"letters":                {"crun", "run -db /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"letter and value":       {"crun", "run -d -b/b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"letter, sign and value": {"crun", "run -b=b x", Call{Command: "run", ID: "x", Bundle: "=b"}},
	"letters like a name":    {"crun", "run -bundle x", Call{Command: "run", ID: "x", Bundle: "undle"}},
	"letters for help":       {"crun", "run -dh x", Call{}},
	"beginning of a name":    {"crun", "--root /r --log-fo=json run --bun=/b --pid /p x", Call{Command: "run", ID: "x", Bundle: "/b", Root: "/r", LogFormat: "json"}},
	"no clear beginning":     {"crun", "run --no -b /b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"configuration":          {"crun", "run -f /c.json -b /b x", Call{Command: "run", ID: "x", Bundle: "/b", Config: "/c.json"}},
	"krun":                   {"/opt/krun", "run -b/b x", Call{Command: "run", ID: "x", Bundle: "/b"}},
	"unknown with a value":   {"runsc", "--platform kvm --network=none create -bundle /b x", Call{Command: "create", ID: "x", Bundle: "/b"}},
	"unknown without":        {"youki", "-s --debug create -b /b x", Call{Command: "create", ID: "x", Bundle: "/b"}},
	"berth's": {"", "--berth-config /c --berth-state=/s -berth-bpffs /f --berth-attach start --root /r create -b /b x",
		Call{Command: "create", ID: "x", Bundle: "/b", Root: "/r", Own: Options{Config: "/c", State: "/s", BPFFS: "/f", Attach: AtStart}}},
	"berth's between": {"", "--root /r --berth-runtime /opt/crun --log /l create -b/b x",
		Call{Command: "create", ID: "x", Bundle: "/b", Root: "/r", Log: "/l", Own: Options{Runtime: "/opt/crun", Attach: AtCreate}}},
	"not berth's behind the command": {"", "exec x --berth-config /c", Call{Command: "exec", ID: "x"}},
}

func TestParse(t *testing.T) {
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			runtime, args := c.runtime, strings.Fields(c.args)
			if runtime == "" {
				runtime = "runc"
			}
			got, err := Parse("/usr/bin/berth-runtime", args, findAs(runtime))
			if err != nil {
				t.Fatal(err)
			}
			if got.Own.Runtime == "" {
				checkHandedOn(t, got, args)
			}
			got.Runtime, got.Globals, got.Rest = "", nil, nil
			if c.want.Own == (Options{}) {
				c.want.Own = atCreate
			}
			// If no container is created, the other fields do not matter.
			if c.want.Command == "" {
				got = &Call{Own: got.Own, Command: got.Command}
			}
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", args, d)
			}
		})
	}
}

// checkHandedOn checks that the runtime's arguments are those given, without berth's.
func checkHandedOn(t *testing.T, c *Call, args []string) {
	t.Helper()
	left := c.Args()
	for _, arg := range args {
		if len(left) > 0 && left[0] == arg {
			left = left[1:]
		} else if c.Own == atCreate {
			t.Errorf("%q is not handed on", arg)
		}
	}
	if len(left) > 0 {
		t.Errorf("%q are handed on, or in another order", left)
	}
}

func ExampleParse() {
	args := []string{"--berth-attach", "start", "--root", "/run/r", "create", "--bundle", "/b", "web"}
	c, err := Parse("berth-runtime", args, findAs("runc"))
	fmt.Println(c.Command, c.ID, c.ConfigPath(), c.Own.Attach, err)
	fmt.Println(c.Args())
	// Output:
	// create web /b/config.json start <nil>
	// [--root /run/r create --bundle /b web]
}

func TestParseGlobalsWithoutBerths(t *testing.T) {
	c, err := Parse("berth-runtime", strings.Fields("--berth-config /c --root /r --berth-attach=create --log /l create --berth-config x -b /b x"), findAs("runc"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields("--root /r --log /l create --berth-config x -b /b x")
	if got := c.Args(); !slices.Equal(got, want) {
		t.Errorf("handed on %q, want %q", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string][]string{
		"--berth-attach later --log /l create x": {"--berth-attach", `"later"`, `"start"`},
		"--berth-colour red --log /l create x":   {"--berth-colour", "-runtime"},
		"--berth-config= --log /l create x":      {"--berth-config", `""`, "directory"},
		"--log /l --berth-state":                 {"--berth-state", "value"},
	} {
		c, err := Parse("berth-runtime", strings.Fields(args), findAs("runc"))
		if err == nil {
			t.Errorf("Parse(%q) is no error", args)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("Parse(%q): the error does not say %s: %v", args, w, err)
			}
		}
		if c.Log != "/l" {
			t.Errorf("Parse(%q): the log to report that to is %q", args, c.Log)
		}
	}
}

func TestParseNoRuntime(t *testing.T) {
	none := errors.New("none")
	c, err := Parse("berth-runtime", []string{"--log", "/l", "create", "-b", "/b", "x"}, func(string) (string, error) { return "", none })
	if !errors.Is(err, none) || c.Log != "/l" {
		t.Errorf("Parse = log %q, %v, want the error and the log to report it to", c.Log, err)
	}
}

func TestProgramNameSetsAttach(t *testing.T) {
	for name, want := range map[string]Attach{
		"berth-runtime": AtCreate, "/usr/bin/berth-runtime": AtCreate, "/opt/late/berth-runtime": AtCreate,
		"berth-runtime-late": AtStart, "/usr/bin/berth-runtime-late": AtStart,
	} {
		c, err := Parse(name, []string{"features"}, findAs("runc"))
		if err != nil || c.Own.Attach != want {
			t.Errorf("as %q it attaches at %q, %v, want %q", name, c.Own.Attach, err, want)
		}
	}
	c, err := Parse("berth-runtime-late", []string{"--berth-attach", "create", "features"}, findAs("runc"))
	if err != nil || c.Own.Attach != AtCreate {
		t.Errorf("a flag does not count more than the name: %q, %v", c.Own.Attach, err)
	}
}

// FuzzParse requires that any command line without berth's flags is passed on unchanged.
func FuzzParse(f *testing.F) {
	for _, c := range calls {
		f.Add(strings.Join(strings.Fields(c.args), "\x00"), strings.Contains(c.runtime, "crun"))
	}
	f.Fuzz(func(t *testing.T, line string, crun bool) {
		args, runtime := strings.Split(line, "\x00"), "runc"
		if crun {
			runtime = "crun"
		}
		c, err := Parse("berth-runtime", args, findAs(runtime))
		if strings.Contains(line, ownPrefix) {
			return
		}
		if err != nil {
			t.Fatalf("Parse(%q): %v", args, err)
		}
		if got := c.Args(); !slices.Equal(got, args) {
			t.Errorf("Parse(%q) hands on %q", args, got)
		}
	})
}
