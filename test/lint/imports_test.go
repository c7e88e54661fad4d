package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "berth"

// floors is the order of the rooms in docs/ARCHITECTURE.md: a package imports packages on
// the floors below its own, or of its own room. The rooms of internal/ are on floors of
// their own.
var floors = map[string]int{
	"cmd": 8, "test": 8,
	"engine": 7, "hook": 7, "agent": 7, "check": 7, "internal/keep": 7,
	"internal/release":  6,
	"internal/hostshim": 5,
	"internal/plumb":    4,
	"internal/drift":    3, "internal/lease": 3, "dhcp": 3, "internal/cluster": 3,
	"internal/state": 2, "internal/config": 2, "internal/podmanconf": 2, "internal/service": 3, "internal/foreign": 2, "internal/text": 1, "internal/onestack": 0, "internal/early": 0, "internal/regular": 1, "internal/plain": 0, "internal/random": 0, "internal/digest": 0, "internal/engineversion": 0, "internal/rates": 1, "internal/testnet": 2,
	"ipam": 2, "network": 2, "bpf": 2,
	"specs": 0,
}

// neighbours are the permitted imports inside one floor.
var neighbours = map[string][]string{
	"engine": {"hook"}, // the NRI plugin and the doors call the hook's library
}

// hookMay are the rooms that berth-hook may contain.
var hookMay = []string{
	"berth/cmd/berth-hook", "berth/hook",
	"berth/internal/config", "berth/internal/state", "berth/internal/lease", "berth/internal/plumb", "berth/internal/text", "berth/internal/onestack", "berth/internal/early", "berth/internal/regular",
	"berth/internal/plain", "berth/internal/random", "berth/internal/digest",
	"berth/internal/release", "berth/internal/hostshim", "berth/dhcp", "berth/dhcp/exchange",
	"berth/ipam", "berth/network", "berth/bpf", "berth/bpf/sys", "berth/specs",
	"berth/engine/wrapper", "berth/engine/program", // parses a runtime's command line; imports only Go's library
	"berth/engine/resident", "berth/internal/service", // berth-hook as a service
}

// hookMayNot are modules too heavy for a program that starts with every container.
var hookMayNot = []string{
	"github.com/spf13/cobra", "github.com/prometheus", "github.com/containerd",
	"google.golang.org", "net/http", "go.opentelemetry.io",
	"crypto", "regexp", "text/template", "html/template", "go.uber.org", "gopkg.in",
}

// hookModules are the modules of others that berth-hook may contain. Not among them is
// cilium/ebpf, whose initialisation alone costs every start 45 pages.
var hookModules = []string{
	"github.com/pelletier/go-toml/v2",
	"github.com/vishvananda/netlink", "github.com/vishvananda/netns", "go.etcd.io/bbolt", "golang.org/x/sys",
	"github.com/insomniacslk/dhcp", "github.com/u-root/uio", "github.com/josharian/native", "github.com/pierrec/lz4/v4", // uio's, of which the linker keeps nothing
}

// pkg is the part of `go list -json` that this file reads.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

func listPackages(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	args := append([]string{"list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// room returns the room of a package of the module: its first path element, or
// its first two below internal/. ours is false for a package of another module.
func room(path string) (name string, ours bool) {
	inside, ours := strings.CutPrefix(path, module+"/")
	elements := strings.Split(inside, "/")
	if elements[0] == "internal" {
		return strings.Join(elements[:min(len(elements), 2)], "/"), ours
	}
	return elements[0], ours
}

// allowed reports whether a package may import another. Packages of other
// modules are always allowed here.
func allowed(from, to string) bool {
	room1, _ := room(from)
	room2, ours := room(to)
	if !ours || room1 == room2 || floors[room1] > floors[room2] {
		return true
	}
	return slices.ContainsFunc(neighbours[room1], func(n string) bool { return within(to, module+"/"+n) })
}

func TestRoomsImportOneWay(t *testing.T) {
	for _, p := range listPackages(t, "./...") {
		first, _ := room(p.ImportPath)
		if _, ok := floors[first]; !ok {
			t.Errorf("%s: its room has no floor in this test", p.ImportPath)
		}
		for _, to := range p.Imports {
			if !allowed(p.ImportPath, to) {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, to)
			}
		}
	}
}

func TestTheRuleRefuses(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"berth/hook", "berth/agent", false},
		{"berth/specs", "berth/ipam", false},
		{"berth/network", "berth/bpf", false},
		{"berth/ipam", "berth/network", false},
		{"berth/ipam", "berth/hook", false},
		{"berth/cmd/berth-hook", "berth/hook", true},
		{"berth/hook", "berth/ipam", true},
		{"berth/ipam", "berth/internal/state", false},
		{"berth/internal/lease", "berth/internal/state", true},
		{"berth/internal/lease", "berth/internal/release", false},
		{"berth/internal/state", "berth/internal/lease", false},
		{"berth/internal/hostshim", "berth/internal/release", false},
		{"berth/internal/release", "berth/ipam", true},
		{"berth/engine/nri", "berth/hook", true},
		{"berth/check", "berth/hook", false},
		{"berth/specs", "net/netip", true},
	} {
		if got := allowed(c.from, c.to); got != c.want {
			t.Errorf("allowed(%s, %s) = %t, want %t", c.from, c.to, got, c.want)
		}
	}
}

func TestHookNeverMeetsTheAgent(t *testing.T) {
	for _, p := range listPackages(t, "./hook/...", "./cmd/berth-hook/...") {
		if slices.Contains(p.Deps, "berth/agent") {
			t.Errorf("%s depends on berth/agent: they meet in the records and the pinned maps only", p.ImportPath)
		}
	}
}

func TestHookStaysSmall(t *testing.T) {
	for _, p := range listPackages(t, "-tags", "hook", "./cmd/berth-hook") { // as scripts/release.sh builds it
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"/") && !slices.Contains(hookMay, dep) {
				t.Errorf("berth-hook is made of %s, which is not on its list", dep)
			}
			if isOthers(dep) && !slices.ContainsFunc(hookModules, func(m string) bool { return within(dep, m) }) {
				t.Errorf("berth-hook is made of %s, whose module is not on its list", dep)
			}
			for _, heavy := range hookMayNot {
				if within(dep, heavy) {
					t.Errorf("berth-hook is made of %s", dep)
				}
			}
		}
	}
}

// TestRuntimeStaysSmaller checks that berth-runtime imports only Go's library, x/sys and its own,
// because it also runs for containers that do not use berth.
func TestRuntimeStaysSmaller(t *testing.T) {
	may := []string{"berth/cmd/berth-runtime", "berth/engine/wrapper", "berth/engine/program"}
	for _, p := range listPackages(t, "./cmd/berth-runtime") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"/") && !slices.Contains(may, dep) {
				t.Errorf("berth-runtime is made of %s, which is not on its list", dep)
			}
			if isOthers(dep) && !within(dep, "golang.org/x/sys") {
				t.Errorf("berth-runtime is made of %s, which is not Go's", dep)
			}
			for _, heavy := range []string{"net", "regexp", "crypto", "text/template", "flag", "log/slog"} {
				if within(dep, heavy) {
					t.Errorf("berth-runtime is made of %s", dep)
				}
			}
		}
	}
}

// isOthers reports whether a package belongs neither to Go's library nor to berth: its
// path begins with a host name.
func isOthers(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// within reports whether a package is the named one or below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}
