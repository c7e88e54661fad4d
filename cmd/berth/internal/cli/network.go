package cli

import "github.com/spf13/cobra"

func newNetwork(env *Env) *cobra.Command {
	return group("network", "make, show and remove networks",
		newNetworkCreate(env))
}
