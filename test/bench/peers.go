package main

import (
	"debug/buildinfo"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/test/lab"
)

// A peer is a program that attaches and releases a container.
type peer struct {
	name string
	// attach and detach return the command. pid is the container's, or 0 if its
	// namespace is dead.
	attach, detach func(id string, pid int) command
}

// A command is a program as an engine runs it: with its whole environment and its
// standard input.
type command struct {
	path  string
	args  []string
	env   []string
	stdin string
}

// The peers, by their names in the samples.
const (
	berthClient  = "berth-hook-client"
	berthAlone   = "berth-hook"
	berthCrowded = "berth-hook-client, crowded"
	berthProbing = "berth-hook, probing"
	cniAlone     = "CNI macvlan+host-local"
	cniNewest    = "CNI macvlan+host-local, newest release"
	cniCrowded   = "CNI macvlan+host-local, crowded"
)

// berthNetwork and the plugins' configuration define equal networks, except for the
// probe, which CNI does not have.
func berthNetwork(subnet netip.Prefix, probe time.Duration) string {
	return fmt.Sprintf(`driver = "macvlan"
parent = "eth1"
conflict_timeout = %q

[[subnet]]
subnet = %q
gateway = %q
`, probe, subnet, subnet.Addr().Next())
}

// onLAN is the annotation that selects the network lan.
const onLAN = `"berth/networks":"lan"`

// newBerth returns the hook of a host as a peer, for containers with the annotation.
func newBerth(name string, host *lab.Host, annotation string) peer {
	return berthBy(name, host.Hook, annotation)
}

// newClient is newBerth by the client of the resident berth-hook, which must run.
func newClient(name string, host *lab.Host, annotation string) peer {
	return berthBy(name, host.ClientHook, annotation)
}

func berthBy(name string, entry func(stage string) specs.Hook, annotation string) peer {
	run := func(stage, state string) command {
		hook := entry(stage)
		return command{path: hook.Path, args: hook.Args[1:], env: hook.Env, stdin: state}
	}
	return peer{
		name: name,
		attach: func(id string, pid int) command {
			return run("createRuntime", fmt.Sprintf(
				`{"ociVersion":"1.0.2","id":%q,"status":"creating","pid":%d,"bundle":"/","annotations":{%s}}`, id, pid, annotation))
		},
		detach: func(id string, _ int) command {
			return run("poststop", fmt.Sprintf(`{"ociVersion":"1.0.2","id":%q,"status":"stopped","bundle":"/"}`, id))
		},
	}
}

// pluginDir is the directory of Debian's containernetworking-plugins.
const pluginDir = "/usr/lib/cni"

// buildCNI builds the plugins of the newest release with the Go that builds berth, into dir, and
// returns their version. Their modules must be on this machine: the bench has no network.
func buildCNI(dir string) (version string, err error) {
	plugins := "github.com/containernetworking/plugins/plugins/"
	built := dir + "-built"
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built+"/",
		plugins+"main/macvlan", plugins+"ipam/host-local")
	build.Dir, build.Env = "test/bench/cni", append(os.Environ(), "CGO_ENABLED=0")
	if _, err := lab.Output(build); err != nil {
		return "", err
	}
	if err := install(built, dir); err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(filepath.Join(dir, "macvlan"))
	if err != nil {
		return "", err
	}
	return info.Main.Version, nil
}

const cniConfig = `{"cniVersion":"1.0.0","name":"lan","type":"macvlan","master":"eth1","mode":"bridge",` +
	`"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":%q,"gateway":%q}]],"routes":[{"dst":"0.0.0.0/0"}]}}`

func newCNI(name, plugins, dir string, subnet netip.Prefix) peer {
	run := func(verb, id, netns string) command {
		return command{
			path: filepath.Join(plugins, "macvlan"),
			env: []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + id, "CNI_NETNS=" + netns,
				"CNI_IFNAME=net1", "CNI_PATH=" + plugins},
			stdin: fmt.Sprintf(cniConfig, dir, subnet, subnet.Addr().Next()),
		}
	}
	netns := func(pid int) string {
		if pid == 0 {
			return ""
		}
		return fmt.Sprintf("/proc/%d/ns/net", pid)
	}
	return peer{
		name:   name,
		attach: func(id string, pid int) command { return run("ADD", id, netns(pid)) },
		detach: func(id string, pid int) command { return run("DEL", id, netns(pid)) },
	}
}
