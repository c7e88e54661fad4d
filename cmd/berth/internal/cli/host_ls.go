package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

func newHostLs(env *Env) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "list the networks whose containers the host reaches", Args: noArguments,
		Example: "  berth host ls\n  berth host ls --json | jq -r '.[].routes[]'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return listHosts(cmd.Context(), env, o) },
	}
	o.registerFlags(cmd, "networks")
	return cmd
}

func listHosts(ctx context.Context, env *Env, o listOptions) error {
	all, err := env.hostShims().List(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(env.Out, all)
	}
	if o.quiet {
		for _, s := range all {
			fmt.Fprintln(env.Out, printable(s.Network))
		}
		return nil
	}
	t := table{head: []string{"NETWORK", "INTERFACE", "ADDRESS", "MAC", "PARENT", "ROUTES", "STATE"},
		whole: []string{"ADDRESS", "MAC", "ROUTES"}}
	for _, s := range all {
		t.addLines([]string{s.Network}, []string{s.Interface}, textsOf(s.Addresses), []string{s.MAC.String()},
			[]string{s.Parent}, []string{strconv.Itoa(len(s.Routes))}, []string{string(s.State)})
	}
	return t.writeTable(env.Out, o.tableWidth(env))
}
