package cli

import (
	"context"

	"github.com/spf13/cobra"

	"berth/specs"
)

func newNetwork(env *Env) *cobra.Command {
	return commandGroup("network", "create, show and remove networks; connect containers",
		newNetworkCreate(env), newNetworkLs(env), newNetworkInspect(env), newNetworkRm(env),
		newNetworkConnect(env), newNetworkDisconnect(env))
}

// networkView is a network with its users: an element of the JSON of
// `berth network ls` and `inspect`.
type networkView struct {
	*specs.Network
	Containers []networkUser   `json:"containers"`     // null if not known
	Host       *specs.HostShim `json:"host,omitempty"` // addresses at which the host reaches them
}

// networkUser is an interface of a container on a network.
type networkUser struct {
	ContainerID string      `json:"container_id"`
	Name        string      `json:"name,omitempty"`
	Interface   string      `json:"interface"`
	MAC         specs.MAC   `json:"mac"`
	Addresses   []string    `json:"addresses"`
	Phase       specs.Phase `json:"phase"`
}

// viewNetworks joins networks with the endpoints on them. Only root may see the endpoints,
// so their absence is a warning.
func viewNetworks(ctx context.Context, env *Env, networks []*specs.Network) []networkView {
	endpoints, err := env.readEndpoints(ctx, false)
	if err != nil {
		env.warnf("cannot list the containers on the networks: %v", err)
	}
	users := make(map[string][]networkUser)
	for i := range endpoints {
		users[endpoints[i].Network] = append(users[endpoints[i].Network], userOf(&endpoints[i]))
	}
	shims := env.shimsByNetwork(ctx)
	var all []networkView
	for _, n := range networks {
		view := networkView{Network: n, Containers: users[n.Name], Host: shims[n.Name]}
		if view.Containers == nil && err == nil {
			view.Containers = []networkUser{}
		}
		all = append(all, view)
	}
	return all
}

// atNetwork adds to an error about a name that it is a network's. Errors about files name
// the file.
func atNetwork(err error) error {
	if _, ok := err.(*specs.ValueError); !ok {
		return err
	}
	return specs.At("network", err)
}

func userOf(e *specs.Endpoint) networkUser {
	addresses := []string{}
	for _, a := range e.Addresses {
		addresses = append(addresses, a.String())
	}
	return networkUser{
		ContainerID: e.ContainerID, Name: e.Name, Interface: e.Interface,
		MAC: e.MAC, Addresses: addresses, Phase: e.Phase,
	}
}
