package check

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/podmanconf"
	"berth/network"
	"berth/specs"
)

func goodKernel() Kernel {
	return Kernel{Release: "6.12.0", Drivers: []Driver{
		{Kind: "macvlan", Known: true, Module: Module{Name: "macvlan", Loaded: true}},
		{Kind: "ipvlan", Module: Module{Name: "ipvlan", Loadable: true}},
		{Kind: "vlan", Known: true, Module: Module{Name: "8021q"}},
	}}
}

func TestJudgeKernel(t *testing.T) {
	networks := []*specs.Network{{Name: "lan", Driver: specs.Macvlan, Parent: "eth1.100"}}
	judge := reportOn("host", func(r *report, k Kernel) { judgeKernel(r, k, needsOf(networks, map[string]bool{"eth1.100": true})) })
	lacks := func(i int, m Module) func(*Kernel) {
		return func(k *Kernel) {
			m.Name = k.Drivers[i].Module.Name
			k.Drivers[i].Known, k.Drivers[i].Module = false, m
		}
	}
	goldenVariations(t, "kernel", goodKernel, judge, []variation[Kernel]{
		{"too old", "kernel", Fail, func(k *Kernel) {
			k.Release, k.Old = "5.10.0", fmt.Errorf("%w: %w", network.ErrOldKernel, unix.ENOPROTOOPT)
		}},
		{"version not looked at", "kernel", Warn, func(k *Kernel) { k.Old = errors.New("open network namespace: permission denied") }},
		{"not needed", "ipvlan", Pass, lacks(1, Module{})},
		{"not needed, not asked", "ipvlan", Pass, func(k *Kernel) { k.Drivers[1].Err = errors.New("query the driver \"ipvlan\": no buffer space") }},
		{"needed", "macvlan", Fail, lacks(0, Module{})},
		{"needed on demand", "8021q", Fail, lacks(2, Module{})},
		{"after an upgrade", "macvlan", Fail, lacks(0, Module{NoTree: true})},
		{"locked", "macvlan", Fail, lacks(0, Module{Loadable: true, Locked: true})},
		{"loadable", "macvlan", Pass, lacks(0, Module{Loadable: true})},
		{"not asked", "macvlan", Warn, func(k *Kernel) { k.Drivers[0].Err = errors.New("query the driver \"macvlan\": no buffer space") }},
	})
}

// TestNeedsOf: without networks macvlan is needed; an existing VLAN needs nothing more.
func TestNeedsOf(t *testing.T) {
	if got := needsOf(nil, nil); got["macvlan"] == "" || got["ipvlan"] != "" || got["vlan"] != "" {
		t.Errorf("without networks: %v", got)
	}
	got := needsOf([]*specs.Network{{Name: "l3", Driver: specs.IPvlan, Parent: "eth1.100"}}, map[string]bool{"eth1.100": false})
	if got["macvlan"] != "" || got["ipvlan"] == "" || got["vlan"] != "" {
		t.Errorf("with an ipvlan network on a VLAN that is there: %v", got)
	}
}

func goodBPF() BPF {
	return BPF{BTF: true, Wanted: "auto", Pins: Filesystem{Path: "/sys/fs/bpf/berth", Magic: unix.BPF_FS_MAGIC}}
}

func TestJudgeBPF(t *testing.T) {
	clsact := [2]Module{{Name: "sch_ingress", Loadable: true}, {Name: "cls_bpf", Builtin: true}}
	goldenVariations(t, "bpf", goodBPF, reportOn("host", judgeBPF), []variation[BPF]{
		{"no BPF", "BPF", Warn, func(b *BPF) { b.Program = ebpf.ErrNotSupported }},
		{"not permitted", "BPF", Warn, func(b *BPF) { b.Program = fmt.Errorf("load: %w", unix.EPERM) }},
		{"no tcx", "attach by", Pass, func(b *BPF) { b.TCX, b.Clsact = ebpf.ErrNotSupported, clsact }},
		{"clsact wanted", "attach by", Pass, func(b *BPF) { b.Wanted, b.Clsact = "clsact", clsact }},
		{"tcx wanted, none there", "attach by", Warn, func(b *BPF) { b.Wanted, b.TCX, b.Clsact = "tcx", ebpf.ErrNotSupported, clsact }},
		{"neither", "attach by", Warn, func(b *BPF) { b.TCX = ebpf.ErrNotSupported }},
		{"not to be told", "attach by", Warn, func(b *BPF) { b.TCX, b.Clsact[0].NoTree = ebpf.ErrNotSupported, true }},
		{"tcx not permitted", "attach by", Warn, func(b *BPF) { b.TCX = unix.EPERM }},
		{"no BTF", "BTF", Warn, func(b *BPF) { b.BTF = false }},
		{"no bpffs", "bpffs", Warn, func(b *BPF) { b.Pins.Magic = unix.SYSFS_MAGIC }},
	})
}

func goodDirectories() Directories {
	return Directories{
		StateFS: Filesystem{Path: "/run/berth", Magic: unix.TMPFS_MAGIC, Free: 1 << 30},
		State:   []File{{Path: "/run/berth", Exists: true}, {Path: "/run/berth/state", Exists: true}},
		Config:  []File{{Path: "/etc/berth", Exists: true, Link: true}, {Path: "/etc/berth/berth.toml"}},
	}
}

func TestJudgeDirs(t *testing.T) {
	goldenVariations(t, "dirs", goodDirectories, reportOn("host", judgeDirs), []variation[Directories]{
		{"on a disk", "state on", Warn, func(d *Directories) { d.StateFS.Magic = unix.EXT4_SUPER_MAGIC }},
		{"full", "state on", Fail, func(d *Directories) { d.StateFS.Free = 12 << 10 }},
		{"another's", "state", Fail, func(d *Directories) { d.State[1].Unsafe = "belongs to user 1000" }},
		{"a link", "state", Fail, func(d *Directories) { d.State[0].Link = true }},
		{"nothing yet", "state", Pass, func(d *Directories) { d.State[0].Exists, d.State[1].Exists = false, false }},
		{"not to be seen", "state", Warn, func(d *Directories) { d.State[1].Err = fs.ErrPermission }},
		{"written by all", "config", Fail, func(d *Directories) { d.Config[0].Unsafe = "has mode 0777" }},
		{"no configuration", "config", Pass, func(d *Directories) { d.Config[0].Exists = false }},
	})
}

func goodEngines() []Engine {
	file := podmanconf.UsrHooksDir + "/berth.json"
	hooks := []HookFile{{file, "/usr/local/bin/berth-hook", []string{"createRuntime", "poststop"}}}
	return []Engine{
		{Name: "podman", Files: []string{file}, HooksDirs: []string{podmanconf.UsrHooksDir}, Hooks: hooks},
		{Name: "docker", Files: []string{"/etc/cdi/berth.yaml"}},
	}
}

func TestJudgeEngines(t *testing.T) {
	goldenVariations(t, "engines", goodEngines, reportOn("host", judgeEngines), []variation[[]Engine]{
		{"podman not told", "podman", Warn, func(all *[]Engine) { (*all)[0].Files, (*all)[0].Hooks = nil, nil }},
		{"podman told where it does not look", "podman", Warn, func(all *[]Engine) {
			(*all)[0].Files, (*all)[0].Hooks, (*all)[0].Unread = []string{"/etc/cdi/berth.yaml"}, nil, []string{podmanconf.EtcHooksDir + "/berth.json"}
		}},
		{"podman told twice", "podman", Pass, func(all *[]Engine) {
			(*all)[0].Files = append((*all)[0].Files, "/etc/cdi/berth.yaml")
			(*all)[0].Unread = []string{podmanconf.EtcHooksDir + "/berth.json"}
		}},
		{"docker not told", "docker", Warn, func(all *[]Engine) { (*all)[1] = Engine{Name: "docker"} }},
		{"containerd needs nothing", "containerd", Pass, func(all *[]Engine) { *all = append(*all, Engine{Name: "containerd"}) }},
		{"nothing is freed", "podman", Fail, func(all *[]Engine) { (*all)[0].Hooks[0].Stages = []string{"createRuntime"} }},
		{"nothing is attached", "podman", Fail, func(all *[]Engine) { (*all)[0].Hooks[0].Stages = []string{"poststop"} }},
		{"an old podman's stages", "podman", Pass, func(all *[]Engine) {
			(*all)[0].Files = append((*all)[0].Files, "/etc/cdi/berth.yaml")
			(*all)[0].Hooks[0].Stages = []string{"prestart", "poststop"}
		}},
		{"broken", "podman", Fail, func(all *[]Engine) {
			(*all)[0].Broken = []BrokenFile{{podmanconf.UsrHooksDir + "/x.json", errors.New("unexpected end of JSON input")}}
		}},
		{"none", "engine", Warn, func(all *[]Engine) { *all = nil }},
	})
}

func goodHooks() []Hook {
	return []Hook{{
		Path: "/usr/local/bin/berth-hook", Named: podmanconf.UsrHooksDir + "/berth.json",
		File:  File{Path: "/usr/local/bin/berth-hook", Exists: true, Exec: true},
		Above: []File{{Path: "/usr/local/bin", Exists: true}, {Path: "/", Exists: true}},
	}}
}

func TestJudgeHooks(t *testing.T) {
	goldenVariations(t, "hooks", goodHooks, reportOn("host", judgeHooks), []variation[[]Hook]{
		{"none", "berth-hook", Warn, func(all *[]Hook) { *all = nil }},
		{"gone", "berth-hook", Fail, func(all *[]Hook) { (*all)[0].Exists = false }},
		{"not executable", "berth-hook", Fail, func(all *[]Hook) { (*all)[0].Exec = false }},
		{"relative", "berth-hook", Fail, func(all *[]Hook) { (*all)[0].Path = "berth-hook" }},
		{"another's", "berth-hook", Fail, func(all *[]Hook) { (*all)[0].Unsafe = "belongs to user 1000" }},
		{"in another's directory", "berth-hook", Fail, func(all *[]Hook) { (*all)[0].Above[0].Unsafe = "has mode 0775" }},
		{"not to be seen", "berth-hook", Warn, func(all *[]Hook) { (*all)[0].Err = fs.ErrPermission }},
	})
	runtimes := func() []string { return []string{"/usr/sbin/runc"} }
	goldenVariations(t, "runtimes", runtimes, reportOn("host", judgeRuntimes), []variation[[]string]{
		{"none", "runtime", Warn, func(all *[]string) { *all = nil }},
	})
}

func goodAgent() Agent {
	return Agent{Status: &specs.AgentStatus{Version: "v1.2.3", Attached: true, Endpoints: 3, MaxEndpoints: 4096}}
}

func TestJudgeAgent(t *testing.T) {
	goldenVariations(t, "agent", goodAgent, reportOn("host", judgeAgent), []variation[Agent]{
		{"none", "agent", Warn, func(a *Agent) { *a = Agent{Err: errors.New("no agent")} }},
		{"none, still counting", "agent", Warn, func(a *Agent) { *a = Agent{Err: errors.New("no agent"), Pinned: 2} }},
		{"half unpinned", "pins", Fail, func(a *Agent) { a.Missing = []string{"links/4-egress", "sources"} }},
		{"not permitted", "agent", Warn, func(a *Agent) { *a = Agent{Err: fmt.Errorf("dial: %w", unix.EACCES)} }},
		{"detached", "agent", Warn, func(a *Agent) { a.Status.Attached = false }},
		{"a problem", "agent", Warn, func(a *Agent) { a.Status.Problems = []string{"parent eth7 does not exist yet"} }},
		{"full", "agent", Warn, func(a *Agent) { a.Status.Endpoints = a.Status.MaxEndpoints }},
	})
}
