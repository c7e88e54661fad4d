package check

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/internal/config"
	"berth/internal/testnet"
)

// makeRoot creates a directory tree that stands for /.
func makeRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModuleState(t *testing.T) {
	c := &Checker{Root: makeRoot(t, map[string]string{
		"lib/modules/6.1.0/modules.builtin": "kernel/net/sched/cls_bpf.ko\n",
		"lib/modules/6.1.0/modules.dep": "kernel/drivers/net/macvlan.ko.zst:\nkernel/net/8021q/8021q.ko: kernel/net/802/garp.ko\n" +
			"kernel/net/sched/sch-ingress.ko.xz:\nkernel/drivers/net/macvtap.ko: kernel/drivers/net/macvlan.ko.zst\n",
		"sys/module/macvlan/initstate": "live\n", "sys/module/8021q/parameters/none": "",
		"proc/sys/kernel/modules_disabled": "0\n",
	})}
	for _, want := range []Module{
		{Name: "macvlan", Loaded: true, Loadable: true},
		{Name: "8021q", Loadable: true},
		{Name: "cls_bpf", Builtin: true},
		{Name: "sch_ingress", Loadable: true},
		{Name: "garp"},
		{Name: "ipvlan"},
	} {
		if got := c.moduleState("6.1.0", want.Name); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	c.Root = makeRoot(t, map[string]string{"proc/sys/kernel/modules_disabled": "1\n"})
	if got, want := c.moduleState("6.1.0", "macvlan"), (Module{Name: "macvlan", NoTree: true, Locked: true}); got != want {
		t.Errorf("without modules: %+v, want %+v", got, want)
	}
}

func TestDMI(t *testing.T) {
	c := &Checker{Root: makeRoot(t, map[string]string{"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/product_name": "Standard PC\n"})}
	if got, want := c.gatherDMI(), (DMI{Vendor: "QEMU", Product: "Standard PC"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestGatherEngines(t *testing.T) {
	const hooks = `{"version": "1.0.0", "hook": {"path": "/usr/local/bin/berth-hook"}, "stages": ["createRuntime"]}`
	dir := makeRoot(t, map[string]string{
		"bin/podman": "", "bin/containerd": "", "bin/dockerd": "", "bin/crun": "",
		"etc/containers/oci/hooks.d/berth.json":       "not read by podman",
		"usr/share/containers/oci/hooks.d/berth.json": hooks,
		"usr/share/containers/oci/hooks.d/other.json": `{"version": "1.0.0", "hook": {"path": "/usr/bin/other"}}`,
		"usr/share/containers/oci/hooks.d/bad.json":   `{`,
		"etc/docker/daemon.json":                      `{"runtimes": {"berth": {"path": "/usr/local/bin/berth-runtime"}}}`,
		"etc/containerd/config.toml":                  "version = 2\n",
	})
	if err := os.Chmod(dir+"/bin/dockerd", 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Checker{Root: dir, Path: []string{dir + "/bin"}}
	got := c.gatherEngines()
	want := []Engine{{
		Name:      "podman",
		Files:     []string{dir + "/usr/share/containers/oci/hooks.d/berth.json"},
		HooksDirs: []string{"/usr/share/containers/oci/hooks.d"},
		Hooks:     []HookFile{{dir + "/usr/share/containers/oci/hooks.d/berth.json", "/usr/local/bin/berth-hook", []string{"createRuntime"}}},
		Missing:   []Missing{{dir + "/usr/share/containers/oci/hooks.d/berth.json", "/usr/local/bin/berth-hook"}},
	}, {Name: "containerd"}}
	if len(got) == 0 || len(got[0].Broken) != 1 || got[0].Broken[0].File != dir+"/usr/share/containers/oci/hooks.d/bad.json" {
		t.Fatalf("no broken file: %+v", got)
	}
	got[0].Broken = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.findRuntimes(); len(got) != 1 || got[0] != dir+"/bin/crun" {
		t.Errorf("runtimes: %q", got)
	}
	if err := os.Chmod(dir+"/bin/dockerd", 0o755); err != nil {
		t.Fatal(err)
	}
	if all := c.gatherEngines(); len(all) != 3 || all[1].Name != "docker" || len(all[1].Files) != 1 {
		t.Errorf("with docker: %+v", all)
	}
}

func TestGatherHookFiles(t *testing.T) {
	dir := makeRoot(t, map[string]string{"bin/berth-hook": ""})
	c := &Checker{Path: []string{dir + "/none", dir + "/bin"}}
	found := c.gatherHookFiles(nil)
	if len(found) != 1 || found[0].Path != dir+"/bin/berth-hook" || !found[0].Exec || found[0].Named != "" {
		t.Fatalf("on PATH: %+v", found)
	}
	if above := found[0].Above; above[0].Path != dir+"/bin" || above[len(above)-1].Path != "/" {
		t.Errorf("above: %+v", above)
	}
	named := []Engine{{Hooks: []HookFile{{"a.json", dir + "/gone", nil}, {"b.json", dir + "/gone", nil}}}}
	if found = c.gatherHookFiles(named); len(found) != 1 || found[0].Exists || found[0].Named != "a.json" {
		t.Errorf("named by two engines: %+v", found)
	}
	client := dir + "/bin/berth-hook-client"
	found = c.gatherHookFiles([]Engine{{Hooks: []HookFile{{"a.json", client, nil}}}})
	if len(found) != 2 || found[0].Path != client || found[1].Path != dir+"/bin/berth-hook" || found[1].Named != client || !found[1].Exec {
		t.Errorf("the client is named: %+v", found)
	}
}

func TestExamineFile(t *testing.T) {
	testnet.Need(t, testnet.Root) // to create files of another user
	dir := makeRoot(t, map[string]string{"mine": "", "shared": "", "theirs": ""})
	for name, mode := range map[string]os.FileMode{"mine": 0o755, "shared": 0o664, "theirs": 0o600} {
		if err := os.Chmod(dir+"/"+name, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir+"/theirs", 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("theirs", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/sticky", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/sticky", 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]File{
		"mine":   {Exists: true, Exec: true},
		"shared": {Exists: true, Unsafe: "has mode 0664"},
		"theirs": {Exists: true, Unsafe: "belongs to user 1000"},
		"link":   {Exists: true, Link: true, Unsafe: "belongs to user 1000"},
		"sticky": {Exists: true, Unsafe: "has mode 1777"},
		"gone":   {},
	} {
		want.Path = dir + "/" + name
		if got := examineFile(want.Path); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// TestExamineAbove: root's files in a directory with the sticky bit stay root's, so a program
// may be below one.
func TestExamineAbove(t *testing.T) {
	testnet.Need(t, testnet.Root)
	dir := makeRoot(t, map[string]string{"sticky/berth-hook": "", "shared/berth-hook": ""})
	for name, mode := range map[string]os.FileMode{"sticky": 0o777 | os.ModeSticky, "shared": 0o777} {
		if err := os.Chmod(dir+"/"+name, mode); err != nil {
			t.Fatal(err)
		}
	}
	c := new(Checker)
	if h := c.examineHook(dir+"/sticky/berth-hook", ""); h.Above[0].Unsafe != "" {
		t.Errorf("a sticky directory: %+v", h.Above[0])
	}
	if h := c.examineHook(dir+"/shared/berth-hook", ""); h.Above[0].Unsafe != "has mode 0777" {
		t.Errorf("a shared directory: %+v", h.Above[0])
	}
}

func TestFilesystem(t *testing.T) {
	dir := t.TempDir()
	there, missing := filesystemOf(dir), filesystemOf(dir+"/a/b")
	if there.Err != nil || missing.Err != nil || there.Magic != missing.Magic || there.Magic == 0 {
		t.Errorf("of a directory %+v, of one to be made in it %+v", there, missing)
	}
	if proc := filesystemOf("/proc/self"); proc.Magic == there.Magic {
		t.Errorf("/proc and %s are told to be one kind: %+v", dir, proc)
	}
}

func TestGatherDirs(t *testing.T) {
	dir := makeRoot(t, map[string]string{"etc/networks.d/lan.toml": "", "etc/networks.d/.lan.toml.swp": "", "run/state/berth.db": ""})
	c := &Checker{Dirs: config.Dirs{Config: dir + "/etc", State: dir + "/run"}}
	d := c.gatherDirs()
	var got []string
	for _, f := range append(d.Config, d.State...) {
		if f.Exists {
			got = append(got, f.Path[len(dir):])
		}
	}
	want := []string{"/etc", "/etc/networks.d", "/etc/networks.d/lan.toml", "/run", "/run/state"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files that were looked at (-want +got):\n%s", diff)
	}
}
