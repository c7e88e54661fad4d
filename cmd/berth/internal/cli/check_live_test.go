package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/check"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/internal/testnet"
)

// startContainer runs berth-hook's code for a new container.
func (w *world) startContainer(id, networks string) *testnet.NS {
	w.t.Helper()
	ns := testnet.Namespace(w.t)
	stdin, err := json.Marshal(specs.State{
		Version: "1.0.2", ID: id, Status: specs.StateCreating, Pid: testnet.Process(w.t, ns).Pid, Bundle: "/",
		Annotations: map[string]string{"berth/networks": networks},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	dirs := config.Dirs{Config: w.dir + "/etc", State: w.dir + "/run", BPFFS: w.bpffs}
	h := &hook.Hook{Dirs: dirs, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler)}
	if err := h.Run(w.t.Context(), hook.CreateRuntime, bytes.NewReader(stdin)); err != nil {
		w.t.Fatal(err)
	}
	return ns
}

// newVeth creates a parent in the namespace of the test, which is the host.
func newVeth(t *testing.T) string {
	parent := testnet.Unique("chk")
	testnet.Veth(t, parent, testnet.Here(t), "port", testnet.Namespace(t))
	return parent
}

const subnets = `ipam = "local"
[[subnet]]
subnet = "192.0.2.0/24"
gateway = "192.0.2.1"
[[subnet]]
subnet = "2001:db8::/64"
gateway = "2001:db8::1"
[[route]]
to = "198.51.100.0/24"
via = "192.0.2.2"
metric = 7
[[route]]
to = "203.0.113.0/24"
via = "198.51.100.1"
`

// TestCheckAttachedByTheHook requires in every mode that the hook's interfaces match the records.
func TestCheckAttachedByTheHook(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	for name, text := range map[string]string{
		"bridge":   "mode = \"bridge\"\nmetric = 50\nmtu = 1400\n" + subnets,
		"private":  "mode = \"private\"\nipv6 = \"slaac\"\n",
		"vepa":     "mode = \"vepa\"\nipv6 = \"link-local\"\n",
		"passthru": "mode = \"passthru\"\n" + subnets,
		"source":   "mode = \"source\"\nsource_macs = [\"02:00:5e:00:53:77\"]\n" + subnets,
		"nothing":  "ipam = \"none\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.writeFile("etc/networks.d/lan.toml", fmt.Sprintf("parent = %q\n%s", newVeth(t), text))
			w.startContainer("box-"+name, "lan")
			got := w.mustRun("check", "--attached", "box-"+name)
			if !strings.HasSuffix(got, " pass, 0 warn, 0 fail\n") || !strings.HasPrefix(got, "container box-"+name+" net1\n") {
				t.Errorf("check --attached:\n%s", got)
			}
		})
	}
}

// TestCheckAttachedIPvlan does the same with ipvlan, if the kernel has it.
func TestCheckAttachedIPvlan(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	for _, mode := range []string{"l2", "l3", "l3s"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.writeFile("etc/networks.d/lan.toml", fmt.Sprintf("driver = \"ipvlan\"\nparent = %q\nmode = %q\nipvlan_flag = \"private\"\n%s", newVeth(t), mode, subnets))
			w.startContainer("box", "lan")
			if got := w.mustRun("check", "--attached"); !strings.HasSuffix(got, " pass, 0 warn, 0 fail\n") {
				t.Errorf("check --attached:\n%s", got)
			}
		})
	}
}

func TestCheckAttachedFails(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	w := newWorld(t)
	w.writeFile("etc/networks.d/lan.toml", fmt.Sprintf("parent = %q\n%s", newVeth(t), subnets))
	ns := w.startContainer("one", "lan")
	w.startContainer("two", "lan")
	testnet.Run(t, ns, "ip", "addr", "del", "2001:db8::2/64", "dev", "net1")
	if code := w.runMain("check", "--attached", "--json"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	var lines []map[string]string
	if err := json.Unmarshal(w.out.Bytes(), &lines); err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, l := range lines {
		if l["result"] != string(check.Pass) {
			failed = append(failed, fmt.Sprint(l["subject"], ", ", l["check"], ": ", l["message"]))
		}
	}
	if want := []string{"container one net1, address: 2001:db8::2/64 is recorded but not assigned"}; !slices.Equal(failed, want) {
		t.Errorf("failed: %q, want %q", failed, want)
	}
	for _, key := range []string{"subject", "check", "result", "message", "remedy"} {
		if _, ok := lines[0][key]; !ok || len(lines[0]) != 5 {
			t.Errorf("a line has the keys %v", lines[0])
		}
	}
	if code := w.runMain("check", "--attached", "two"); code != exitOK {
		t.Errorf("check of the other container: exit %d:\n%s", code, &w.out)
	}
	w.mustFail(exitFailed, `no container has the name "three"`, "check", "--attached", "three")
}

func TestCheckExit(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan)
	w := newWorld(t)
	parent := newVeth(t)
	w.writeFile("etc/networks.d/lan.toml", fmt.Sprintf("parent = %q\n%s", parent, subnets))
	got := w.mustRun("check", "lan")
	for _, part := range []string{"host\n", "parent " + parent + "\n", "network lan\n", " 0 fail\n", "  pass  up "} {
		if !strings.Contains(got, part) {
			t.Errorf("check lan has no %q:\n%s", part, got)
		}
	}
	testnet.Run(t, testnet.Here(t), "ip", "link", "set", parent, "down")
	if code := w.runMain("check", "lan"); code != exitFailed || !strings.Contains(w.out.String(), parent+" is down") {
		t.Errorf("check of a parent that is down: exit %d:\n%s", code, &w.out)
	}
	if code := w.runMain("check", "nope"); code != exitFailed || !strings.Contains(w.out.String(), `"nope" is neither a network`) {
		t.Errorf("check of nonsense: exit %d:\n%s", code, &w.out)
	}
	w.mustFail(exitUsage, `unexpected argument "b"`, "check", "a", "b")
}
