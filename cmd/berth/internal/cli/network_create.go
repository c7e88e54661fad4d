package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/network"
	"berth/specs"
)

const createLong = `Create a network with the flags of docker network create. It is a file in
networks.d, which can also be written and edited by hand.

Subnets, gateways, ranges and auxiliary addresses may be given several times;
each belongs to the subnet that contains it. Without --gateway, containers get
no default route.`

const createExample = `  berth network create lan -d macvlan --subnet 192.0.2.0/24 \
      --gateway 192.0.2.1 --ip-range 192.0.2.64/26 -o parent=eth1
  berth network create lab -d macvlan --subnet 198.51.100.0/24 \
      -o parent=eth1.100 -o macvlan_mode=private
  berth network create six --ipv6 --subnet 2001:db8::/64 \
      --gateway 2001:db8::1 -o parent=eth1`

func newNetworkCreate(env *Env) *cobra.Command {
	var o createFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "create a network", Long: createLong, Example: createExample,
		Args:              argumentCount(1, 1, "the network's NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, notes, err := o.parseNetwork(args[0])
			if err != nil {
				return asUsageError(cmd, err)
			}
			return createNetwork(env, n, notes)
		},
	}
	o.registerFlags(cmd.Flags())
	return cmd
}

// createNetwork writes the network's file and prints its name, as docker prints an ID;
// notes and warnings go to Err.
func createNetwork(env *Env, n *specs.Network, notes []string) error {
	if err := config.Save(env.dirs.Config, n); err != nil {
		return env.asRoot(atNetwork(err))
	}
	if problem := parentProblem(n.Parent, n.MTU, env.parent); problem != "" {
		notes = append(notes, problem)
	}
	if problem := ipv6Problem(n, network.CheckIPv6()); problem != "" {
		notes = append(notes, problem)
	}
	if err := env.refreshDevices(); err != nil {
		notes = append(notes, err.Error())
	}
	for _, note := range notes {
		env.warnf("network %s: %s", n.Name, note)
	}
	_, err := fmt.Fprintln(env.Out, n.Name)
	return err
}
