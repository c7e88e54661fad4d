package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/specs"
)

func newNetworkLs(env *Env) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "list the networks", Args: noArguments,
		Example: "  berth network ls\n  berth network ls --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return listNetworks(cmd.Context(), env, o) },
	}
	o.registerFlags(cmd, "names")
	return cmd
}

// listNetworks prints the networks that can be read, and then errors for the others.
func listNetworks(ctx context.Context, env *Env, o listOptions) error {
	networks, broken := config.Networks(env.dirs.Config)
	if err := printNetworks(ctx, env, o, networks); err != nil {
		return err
	}
	for _, err := range broken {
		env.warnf("%v", err)
	}
	if len(broken) > 0 {
		return errPrinted
	}
	return nil
}

func printNetworks(ctx context.Context, env *Env, o listOptions, networks []*specs.Network) error {
	if o.quiet {
		for _, n := range networks {
			fmt.Fprintln(env.Out, n.Name)
		}
		return nil
	}
	views := viewNetworks(ctx, env, networks)
	if o.json {
		return writeJSON(env.Out, views)
	}
	t := table{head: []string{"NAME", "DRIVER", "MODE", "PARENT", "SUBNETS", "CONTAINERS"},
		whole: []string{"SUBNETS", "CONTAINERS"}}
	for _, v := range views {
		var subnets []string
		for _, s := range v.Subnets {
			subnets = append(subnets, s.Subnet.String())
		}
		users := "?"
		if v.Containers != nil {
			users = strconv.Itoa(len(v.Containers))
		}
		t.addLines([]string{v.Name}, []string{string(v.Driver)}, []string{string(v.Mode)}, []string{v.Parent},
			subnets, []string{users})
	}
	return t.writeTable(env.Out, o.tableWidth(env))
}
