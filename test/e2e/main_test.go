package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"berth/test/command"
	"berth/test/lab"
)

// Shared by all tests, and changed by none.
var (
	bin    = filepath.Join(lab.Dir, "bin")
	rootfs = filepath.Join(lab.Dir, "rootfs")
)

func TestMain(m *testing.M) {
	lab.Isolate()
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// binVar names the directory of built programs. test/engines sets it, because its
// trees have no Go.
const binVar = "BERTH_E2E_BIN"

// prepare builds the programs from the current sources.
func prepare() error {
	if built := os.Getenv(binVar); built != "" {
		bin = built
		return lab.Rootfs(rootfs)
	}
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for _, what := range [][]string{{"./cmd/..."}, {"-tags", "hook", "./cmd/berth-hook", "./cmd/berth-cni", "./cmd/berth-netavark"}} {
		build := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-o", bin + "/"}, what)...)
		build.Dir = "../.."
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if _, err := lab.Output(build); err != nil {
			return err
		}
	}
	if err := command.HookClient(context.Background(), "../..", bin); err != nil {
		return err
	}
	return lab.Rootfs(rootfs)
}

// A site is a host with the parent eth1 on a LAN, and another machine there.
type site struct {
	*lab.Host
	lan      *lab.Switch
	neighbor *lab.Machine
}

// The neighbor's addresses on the LAN; it is the network's router.
const (
	neighborIP  = "192.0.2.1"
	neighborMAC = "02:00:5e:00:53:fe"
)

var sites atomic.Int32

// newSite makes a site and removes it when the test ends.
func newSite(t *testing.T) *site {
	t.Helper()
	name := fmt.Sprintf("site%d", sites.Add(1))
	lan, err := lab.NewSwitch(name + "-lan")
	must(t, err)
	neighbor, err := lab.NewMachine(name + "-pc")
	must(t, err)
	host, err := lab.NewHost(name, bin)
	must(t, err)
	must(t, lan.Plug(host.Machine, "eth1"))
	must(t, lan.Plug(neighbor, "eth0", neighborIP+"/24"))
	_, err = neighbor.Run("ip", "link", "set", "eth0", "address", neighborMAC)
	must(t, err)
	t.Cleanup(func() {
		for _, m := range []*lab.Machine{host.Machine, neighbor, &lan.Machine} {
			if err := m.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
	s := &site{Host: host, lan: lan, neighbor: neighbor}
	must(t, s.Policy(""))
	return s
}

// agent starts berthd for the rest of the test.
func (s *site) agent(t *testing.T) {
	t.Helper()
	d, err := s.StartAgent("--metrics", "127.0.0.1:9477")
	must(t, err)
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const lanNetwork = `driver = "macvlan"
parent = "eth1"
conflict_timeout = "0"

[[subnet]]
subnet = "192.0.2.0/24"
gateway = "192.0.2.1"
ip_range = "192.0.2.64/26"
`

// openPolicy lets annotations choose everything.
const openPolicy = `[policy]
parents = ["eth1", "eth9", "lo", "tun0"]
modes = ["bridge", "private", "vepa", "passthru"]
static_ips = true
static_macs = true
`

// decodeLines decodes one JSON value per line.
func decodeLines[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	for dec.More() {
		var one T
		must(t, dec.Decode(&one))
		all = append(all, one)
	}
	return all
}
