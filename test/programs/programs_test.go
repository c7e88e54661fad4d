package programs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asked are the programs that README.md requires.
var asked = words("go gofmt gcc git make")

// engines are not in Debian 12. Tests that drive them are skipped if they are missing,
// and make engines runs those tests in trees that have them.
var engines = words("docker dockerd nerdctl crictl crio")

// machines are programs of tests that only make engines runs, in trees that have them.
var machines = words("lxc-start lxc-info lxc-stop libvirtd virtlogd virsh jq")

// need is a line of scripts/deps.sh: the program or file whose presence proves that the
// package is installed, and the purposes that it is installed for.
type need struct {
	sign     string
	purposes []string
	pkg      string
}

func needs(t *testing.T) []need {
	t.Helper()
	_, table, found := strings.Cut(readFile(t, filepath.Join(root, "scripts/deps.sh")), "<<-'END'\n")
	table, _, ended := strings.Cut(table, "END\n")
	if !found || !ended {
		t.Fatal("scripts/deps.sh: no table of packages")
	}
	var all []need
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) == 3 {
			all = append(all, need{f[1], strings.Split(f[0], ","), f[2]})
		}
	}
	return all
}

// installed reports whether a purpose installs a program, or the package with
// a file.
func installed(all []need, program, purpose string) bool {
	return slices.ContainsFunc(all, func(n need) bool {
		same := n.sign == program || filepath.Base(n.sign) == program || strings.HasPrefix(program, "/") && filepath.Dir(n.sign) == filepath.Dir(program)
		if also := alsoIn[program]; also != "" {
			same = same || n.sign == also
		}
		return same && (slices.Contains(n.purposes, purpose) || purpose == guest && guestPackages[n.pkg])
	})
}

// guest is the purpose of the programs in the booted machine, which has packages of its
// own.
const guest = "guest"

// guestPackages are the packages of the machines of test/system.
var guestPackages = func() map[string]bool {
	text, err := os.ReadFile(filepath.Join(root, "test/machine/debian.go"))
	if err != nil {
		panic(err)
	}
	return words(strings.NewReplacer(`"`, " ", ",", " ").Replace(string(text)))
}()

// alsoIn are programs of a package for which scripts/deps.sh checks another program.
var alsoIn = map[string]string{
	"tc": "ip", "bridge": "ip", "ctr": "containerd", "systemctl": "systemd-analyze", "journalctl": "systemd-analyze", "unshare": "nsenter",
	"/usr/include/x86_64-linux-gnu/asm/unistd_64.h": "/usr/include/linux/if_ether.h",
	"/usr/include/asm-generic/unistd.h":             "/usr/include/linux/if_ether.h",
}

// maintainerScripts run when the package is installed or removed.
var maintainerScripts = []string{"deploy/debian/postinst", "deploy/debian/prerm", "deploy/debian/postrm"}

// purposes returns the purposes of a file. A package of test/ that several suites share
// has the purposes of each; a machine with a disk is one of test/system or of
// make ipvlan, which installs the programs of the former.
func purposes(all []need, file string) []string {
	if recipe, ok := strings.CutPrefix(file, "Makefile:"); ok {
		return strings.Split(recipe, ",") // "" if it needs the programs of every Debian alone
	}
	if file == "test/machine/debian.go" {
		return []string{"system"}
	}
	if strings.HasPrefix(file, "test/machine/") && !strings.HasSuffix(file, "_test.go") {
		return []string{"vm", "system"}
	}
	return []string{purpose(all, file)}
}

// purpose returns the purpose of a file that has only one.
func purpose(all []need, file string) string {
	switch {
	case file == "scripts/generated.sh", file == "engine/resident/client/build.sh":
		return "generate"
	case strings.HasPrefix(file, "test/system/guest/"), strings.HasPrefix(file, "test/system/units/"),
		strings.HasPrefix(file, "deploy/systemd/"), slices.Contains(maintainerScripts, file):
		return guest
	case file == "scripts/fresh.sh":
		return "tree"
	case file == "scripts/pictures.sh", file == "scripts/axe.sh":
		return "axe"
	case strings.HasSuffix(file, "_test.go"), !strings.HasPrefix(file, "test/"):
		return "test"
	}
	dir, _, _ := strings.Cut(strings.TrimPrefix(file, "test/"), "/")
	if slices.ContainsFunc(all, func(n need) bool { return slices.Contains(n.purposes, dir) }) {
		return dir
	}
	return "test"
}

func TestProgramsAreInstalled(t *testing.T) {
	t.Parallel()
	all := needs(t)
	uses := slices.Concat(usesOfGo(t, sources(t)), usesOfScripts(t))
	seen := map[use]bool{}
	var unlisted []use
	for _, u := range uses {
		if seen[u] || asked[u.program] || engines[u.program] || machines[u.program] || ours(t, u.program) {
			continue
		}
		seen[u] = true
		for _, purpose := range purposes(all, u.file) {
			if !installed(all, u.program, purpose) {
				unlisted = append(unlisted, u)
			}
		}
	}
	known := essential(t, unlisted)
	for _, u := range unlisted {
		if !known[u.program] {
			t.Errorf("%s runs %q, which scripts/deps.sh does not install for %q", u.file, u.program, purposes(all, u.file))
		}
	}
	// The search must find these, or it is broken.
	for _, want := range []use{
		{"ping", "hook/hook_live_test.go"}, {"ethtool", "bpf/traffic_live_test.go"}, {"patch", "engine/edit/diff_test.go"},
		{"podman", "test/lab/podman.go"}, {"tc", "bpf/labattach_live_test.go"}, {"runc", "test/demo/tour.go"},
		{"ctr", "test/docs"}, {"iperf3", "test/bench/iperf.go"}, {"setpriv", "test/vm/tools.go"},
		{"dpkg-deb", "deploy/debian/build.sh"}, {"debootstrap", "test/tree/build.go"}, {"clang-14", "scripts/generated.sh"},
		{"qemu-system-x86_64", "test/machine/machine.go"}, {"lintian", "test/deploy/debian_test.go"}, {"xargs", "deploy/debian/build.sh"},
		{"ld.lld-14", "engine/resident/client/build.sh"}, {"systemctl", "deploy/debian/postinst"}, {"dnsmasq", "test/system/units/lan-leases.service"},
		{"stty", "test/engines/machine-init.sh"}, {"expand", "Makefile:"},
	} {
		if !seen[want] {
			t.Errorf("not found: %q in %s", want.program, want.file)
		}
	}
}

// ours reports whether a program is berth's, or a file of the tree.
func ours(t *testing.T, program string) bool {
	t.Helper()
	if strings.HasPrefix(program, "/usr/include/") || strings.HasPrefix(program, "/usr/lib/cni/") {
		return false
	}
	if strings.Contains(program, "/") || program == "berth-hook-client" {
		return true // a script, or a file that a test makes
	}
	_, err := os.Stat(filepath.Join(root, "cmd", program))
	return err == nil
}

// essential returns the programs in packages that every Debian has, according to dpkg:
// essential packages, and required ones such as apt and mawk.
func essential(t *testing.T, uses []use) map[string]bool {
	t.Helper()
	places := map[string]string{} // program by path
	args := []string{"--search"}
	for _, u := range uses {
		path, err := exec.LookPath(u.program)
		if err != nil {
			continue
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, strings.TrimPrefix(path, "/usr")} { // with merged /usr, dpkg lists one
			if _, known := places[path]; !known {
				places[path] = u.program
				args = append(args, path)
			}
		}
	}
	// It exits with 1, because only one of the two paths is listed.
	found, _ := exec.Command("dpkg-query", args...).Output()
	required, err := exec.Command("dpkg-query", "--show", "--showformat", "${Priority} ${Essential} ${Package}\n").Output()
	if err != nil {
		t.Fatalf("dpkg-query: %v", err)
	}
	packages := map[string]bool{}
	for line := range strings.Lines(string(required)) {
		if f := strings.Fields(line); len(f) == 3 && (f[0] == "required" || f[1] == "yes") {
			packages[f[2]] = true
		}
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(found)) {
		pkg, path, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name, _, _ := strings.Cut(pkg, ":"); packages[name] {
			known[places[path]] = true
		}
	}
	return known
}
