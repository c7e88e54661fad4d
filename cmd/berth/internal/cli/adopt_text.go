package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/agent/names"
	"berth/internal/foreign"
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

// movingText returns how containers of an engine are started on a network of berth. CNI's are
// moved by one change of its configuration.
func movingText(engine, network string, all []movedContainer) string {
	var b strings.Builder
	if engine == "cni" {
		fmt.Fprintf(&b, "\nIn CNI's configuration, replace the plugin macvlan or ipvlan by\n"+
			"    {\"type\": \"berth-cni\", \"network\": %q, \"capabilities\": {\"ips\": true, \"mac\": true}}\n"+
			"and start its containers again.\n", network)
		return b.String()
	}
	if len(all) == 0 {
		all = []movedContainer{{name: "each container"}}
	}
	for _, c := range all {
		fmt.Fprintf(&b, "\nTo move %s, remove it and start it again with\n", printable(c.name))
		if c.service != "" {
			b.WriteString(composeText(network, &c))
		} else {
			b.WriteString(runText(engine, network, &c))
		}
	}
	return b.String()
}

// runText returns the changed options of a command line.
func runText(engine, network string, c *movedContainer) string {
	words := []string{"    " + engine, "run"}
	if engine == "docker" {
		words = append(words, "--runtime berth")
	}
	words = append(words, "--network none", "--annotation berth/networks="+network)
	if len(c.addresses) > 0 {
		words = append(words, "--annotation berth/ip="+strings.Join(textsOf(c.addresses), ","))
	}
	return strings.Join(append(words, "…\n"), " ")
}

// composeText returns the changed lines of a file of docker compose.
func composeText(network string, c *movedContainer) string {
	text := fmt.Sprintf("    services:\n      %s:\n        runtime: berth\n        network_mode: none\n        "+
		"annotations:\n          berth/networks: %s\n",
		printable(c.service), network)
	if len(c.addresses) > 0 {
		text += fmt.Sprintf("          berth/ip: %q\n", strings.Join(textsOf(c.addresses), ","))
	}
	return text
}
