package cli

import (
	"context"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/specs"
)

func newNetworkInspect(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "inspect NAME...", Short: "show networks and their containers as JSON",
		Example:           "  berth network inspect lan\n  berth network inspect lan | jq -r '.[].containers[].mac'",
		Args:              networkNames(1, 0, "the network's NAME"),
		ValidArgsFunction: completeNetworks(env),
		RunE:              func(cmd *cobra.Command, args []string) error { return inspectNetworks(cmd.Context(), env, args) },
	}
	jsonFlag(cmd, new(bool)) // it is always JSON; the flag is accepted, as with every command
	return cmd
}

// inspectNetworks prints the networks that it finds, as docker does, and an error for the others.
func inspectNetworks(ctx context.Context, env *Env, names []string) (err error) {
	var found []*specs.Network
	for _, name := range names {
		n, unknown := config.Network(env.dirs.Config, name)
		if unknown != nil {
			env.warnf("%v", atNetwork(unknown))
			err = errPrinted
			continue
		}
		found = append(found, n)
	}
	var views []networkView
	if len(found) > 0 {
		views = viewNetworks(ctx, env, found)
	}
	if failed := writeJSON(env.Out, views); failed != nil {
		return failed
	}
	return err
}
