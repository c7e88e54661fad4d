package hook

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// pendingNetwork returns the engine's own network of a container, as far as a
// hook that runs before it can know it, or "" if the container has none. A hook
// of a CDI device runs before nerdctl's, and every hook runs before the network
// of docker 26.0 and of 28 and newer. If berth sets a default route then, docker
// fails ("file exists"), and nerdctl's route exists beside it.
func pendingNetwork(st *State) string {
	if text := st.Annotations["nerdctl/networks"]; text != "" {
		return nerdctlNetwork(text)
	}
	return dockerNetwork(st)
}

// nerdctlNetwork parses nerdctl's networks: a list of names in JSON
// (pkg/labels/labels.go). Some names stand for no network.
func nerdctlNetwork(text string) string {
	var names []string
	if json.Unmarshal([]byte(text), &names) != nil {
		return ""
	}
	names = slices.DeleteFunc(names, addsNoInterface)
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("nerdctl's network %q", names[0])
}

// addsNoInterface reports whether a network of docker or nerdctl adds no interface to
// a container's namespace.
func addsNoInterface(name string) bool {
	return name == "" || name == "none" || name == "host" || strings.HasPrefix(name, "container:") ||
		strings.HasPrefix(name, "ns:")
}

// dockerNetwork reads the network mode of a docker container from its
// hostconfig.json. It finds the directory of that file by the files that docker
// mounts from there.
func dockerNetwork(st *State) string {
	var bundle struct {
		Mounts []struct{ Destination, Source string }
	}
	if !readEngineFile(filepath.Join(st.Bundle, "config.json"), &bundle) {
		return ""
	}
	for _, m := range bundle.Mounts {
		dir := filepath.Dir(m.Source)
		known := m.Destination == "/etc/hostname" || m.Destination == "/etc/hosts" || m.Destination == "/etc/resolv.conf"
		if !known || filepath.Base(dir) != st.ID || filepath.Base(filepath.Dir(dir)) != "containers" {
			continue
		}
		var host struct{ NetworkMode string }
		if readEngineFile(filepath.Join(dir, "hostconfig.json"), &host) && !addsNoInterface(host.NetworkMode) {
			return fmt.Sprintf("docker's network %q", host.NetworkMode)
		}
		return ""
	}
	return ""
}

// pendingNetwork calls [Sandbox.Pending] if a request may bring a default route
// and the engine has set up no network yet: no interface is up except the
// loopback and berth's. The kernel may have made tunnels there, which are down.
func (c *container) pendingNetwork(requests []Request, links []network.LinkInfo, ours []*state.Attachment) string {
	engines := func(l network.LinkInfo) bool {
		return l.Up && !l.Loopback && !slices.ContainsFunc(ours,
			func(a *state.Attachment) bool { return a.Interface == l.Name })
	}
	if c.pending == nil || slices.ContainsFunc(links, engines) || !slices.ContainsFunc(requests, maySetDefault) {
		return ""
	}
	return c.pending()
}

// maySetDefault reports whether a request may bring a default route.
func maySetDefault(r Request) bool {
	if len(r.DefaultRoute) > 0 {
		return true
	}
	return *r.Net.DefaultRoute && (r.Net.IPAM == specs.IPAMDHCP || slices.ContainsFunc(r.Net.Subnets,
		func(s specs.Subnet) bool { return s.Gateway.IsValid() }))
}
