package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"berth/agent/names"
	"berth/internal/foreign"
	"berth/specs"
)

// movedContainer is a container of an adopted network.
type movedContainer struct {
	name      string
	service   string       // of docker compose, or ""
	addresses []netip.Addr // those that it requests on the new network
}

// composeService is the label with which docker compose names the service of a container.
const composeService = "com.docker.compose.service"

// movedContainers returns the containers on a network, in the order of their names. An engine that
// does not know a container's name leaves it with its ID.
func movedContainers(ctx context.Context, engines []names.Enricher, holdings []foreign.Holding,
	keep bool) (all []movedContainer, err error) {
	byID := make(map[string]int)
	for _, h := range holdings {
		i, known := byID[h.Container]
		if !known {
			answer, err := names.Ask(ctx, engines, h.Container)
			if err != nil {
				return nil, err
			}
			c := movedContainer{name: shortID(h.Container)}
			if answer != nil {
				c.name, c.service = cmp.Or(answer.Name, c.name), answer.Labels[composeService]
			}
			i = len(all)
			byID[h.Container] = i
			all = append(all, c)
		}
		for _, a := range h.Addresses {
			if keep && !slices.Contains(all[i].addresses, a) {
				all[i].addresses = append(all[i].addresses, a)
			}
		}
	}
	slices.SortFunc(all, func(a, b movedContainer) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// A mover formats how containers of an engine are started on a network of berth's.
type mover struct {
	engine  string // the program of the command line, or cni
	network *specs.Network
	native  string   // the name of the engine's own network on that of berth's, or "" if the engine can have none
	plugin  string   // of CNI, which is replaced
	further []string // the plugins of CNI that follow it
}

// newMover returns the mover of the containers of an adopted network. The engine's own network on
// it has another name than the old one.
func newMover(found *foreign.Network, n *specs.Network) *mover {
	m := &mover{engine: found.Name.Engine, network: n, plugin: string(found.Driver), further: found.Further}
	if found.Nerdctl {
		m.engine = engineNerdctl
	}
	if m.engine == engineNerdctl || m.engine == specs.EnginePodman ||
		m.engine == specs.EngineDocker && hasDockerDoor(found.Version) {
		m.native = n.Name
	}
	if m.native == found.Name.Name {
		m.native = "berth-" + n.Name
	}
	return m
}

// engineNerdctl is the program whose networks are CNI's.
const engineNerdctl = "nerdctl"

// hasDockerDoor reports whether a version of docker has networks with the driver berth. It has if the
// version is not known.
func hasDockerDoor(version string) bool {
	number, _, _ := strings.Cut(version, ".")
	major, err := strconv.Atoi(number)
	return err != nil || major >= 28 || strings.HasPrefix(version, "26.0.")
}

// textOf returns how containers are started. CNI's are moved by one change of its configuration.
func (m *mover) textOf(all []movedContainer) string {
	if m.engine == specs.EngineCNI {
		return m.pluginText()
	}
	if m.engine == engineNerdctl && m.native != m.network.Name {
		return "\nnerdctl can use a network of berth's only by a name that none of its own networks has: " +
			"adopt it with --name.\n"
	}
	var b strings.Builder
	if m.native != "" {
		b.WriteString(m.createText())
	}
	if len(all) == 0 {
		all = []movedContainer{{name: "each container"}}
	}
	for i := range all {
		c := &all[i]
		var forms []string
		if m.native != "" && (c.fitsNative() || m.engine == engineNerdctl) {
			forms = append(forms, m.nativeText(c))
		}
		if m.engine != engineNerdctl {
			forms = append(forms, m.annotationText(c))
		}
		fmt.Fprintf(&b, "\nTo move %s, remove it and start it again with\n%s", printable(c.name),
			strings.Join(forms, "or, by an annotation, with\n"))
	}
	return b.String()
}

// pluginText returns the change of CNI's configuration.
func (m *mover) pluginText() string {
	rest := "and start its containers again.\n"
	if len(m.further) > 0 {
		rest = "leave the plugins after it (" + printable(strings.Join(m.further, ", ")) + ") as they are, " + rest
	}
	return fmt.Sprintf("\nIn CNI's configuration, replace the plugin %s by\n"+
		"    {\"type\": \"berth-cni\", \"network\": %q, \"capabilities\": {\"ips\": true, \"mac\": true}}\n%s",
		m.plugin, m.network.Name, rest)
}

// annotationText returns the form of a start that requests the network by an annotation.
func (m *mover) annotationText(c *movedContainer) string {
	if c.service != "" {
		return m.composeAnnotations(c)
	}
	words := []string{"    " + m.engine, "run"}
	if m.engine == specs.EngineDocker {
		words = append(words, "--runtime berth")
	}
	words = append(words, "--network none", "--annotation berth/networks="+m.network.Name)
	if len(c.addresses) > 0 {
		words = append(words, "--annotation berth/ip="+strings.Join(textsOf(c.addresses), ","))
	}
	return strings.Join(append(words, "…\n"), " ")
}

// composeAnnotations returns the changed lines of a compose file for an annotation.
func (m *mover) composeAnnotations(c *movedContainer) string {
	text := fmt.Sprintf("    services:\n      %s:\n", printable(c.service))
	if m.engine == specs.EngineDocker {
		text += "        runtime: berth\n"
	}
	text += fmt.Sprintf("        network_mode: none\n        annotations:\n          berth/networks: %s\n", m.network.Name)
	if len(c.addresses) > 0 {
		text += fmt.Sprintf("          berth/ip: %q\n", strings.Join(textsOf(c.addresses), ","))
	}
	return text
}
