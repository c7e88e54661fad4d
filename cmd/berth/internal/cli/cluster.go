package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/internal/text"
	"berth/specs"
)

func newCluster(env *Env) *cobra.Command {
	return commandGroup("cluster", "show the nodes that share pools of addresses",
		newClusterNodes(env), newClusterPs(env), newClusterPools(env), newClusterForget(env))
}

func newClusterNodes(env *Env) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "nodes", Short: "list the nodes, their blocks and free addresses", Args: noArguments,
		Long: "List the nodes of the cluster, as etcd has them. A node is present while its\n" +
			"agent reaches etcd. An absent node keeps its blocks.",
		Example: "  berth cluster nodes\n  berth cluster nodes --json | jq -r '.[] | select(.present | not).name'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return listClusterNodes(cmd.Context(), env, o) },
	}
	o.registerFlags(cmd, "names")
	return cmd
}

func listClusterNodes(ctx context.Context, env *Env, o listOptions) error {
	s, err := env.clusterStatus(ctx)
	if err != nil || o.json {
		return orJSON(env, s.Nodes, err)
	}
	t := table{head: []string{"NODE", "STATE", "UP", "BLOCKS", "ADDRESSES", "FREE", "ID"},
		whole: []string{"BLOCKS", "ADDRESSES", "FREE"}}
	for _, n := range s.Nodes {
		if o.quiet {
			fmt.Fprintln(env.Out, printable(n.Name))
			continue
		}
		t.addRow(n.Name, nodeState(&n), sinceText(env, &n), strconv.Itoa(n.Blocks), strconv.Itoa(n.Size),
			strconv.Itoa(n.Size-n.Used), n.ID)
	}
	if o.quiet {
		return nil
	}
	return t.writeTable(env.Out, o.tableWidth(env))
}

func nodeState(n *specs.ClusterNode) string {
	switch {
	case n.This && n.Present:
		return "present, this one"
	case n.This:
		return "absent, this one"
	case n.Present:
		return "present"
	}
	return "absent"
}

// sinceText returns the time since a node's registration, by this machine's clock.
func sinceText(env *Env, n *specs.ClusterNode) string {
	if n.Since.IsZero() {
		return ""
	}
	return ageText(max(0, env.Now().Sub(n.Since)))
}

func newClusterPs(env *Env) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "ps", Short: "list the attachments of all nodes", Args: noArguments,
		Long: "List the interfaces of containers on all nodes, as their agents last wrote them\n" +
			"to etcd. Those of an absent node may have ended since. An address or a MAC that\n" +
			"two nodes have is shown below its row.",
		Example: "  berth cluster ps\n  berth cluster ps --json | jq '.[] | select(.conflicts)'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return listClusterAttachments(cmd.Context(), env, o) },
	}
	o.registerFlags(cmd, "container ids")
	return cmd
}

func listClusterAttachments(ctx context.Context, env *Env, o listOptions) error {
	s, err := env.clusterStatus(ctx)
	if err != nil || o.json {
		return orJSON(env, s.Attachments, err)
	}
	t := table{head: []string{"NODE", "CONTAINER", "NAME", "NETWORK", "INTERFACE", "ADDRESS", "MAC"},
		whole: []string{"ADDRESS", "MAC"}}
	for _, a := range s.Attachments {
		if o.quiet {
			fmt.Fprintln(env.Out, printable(a.Container))
			continue
		}
		container, mac := text.ShortID(a.Container), ""
		if o.wide {
			container = a.Container
		}
		if !a.MAC.IsZero() {
			mac = a.MAC.String()
		}
		network := a.Network
		if a.Observed {
			network = "observed"
		}
		t.addLines([]string{a.Node}, []string{container}, []string{a.Name}, []string{network}, []string{a.Interface},
			textsOf(a.Addresses), []string{mac})
		if len(a.Conflicts) > 0 {
			t.addNote("another node has " + strings.Join(a.Conflicts, " and ") + " too")
		}
	}
	if o.quiet {
		return nil
	}
	return t.writeTable(env.Out, o.tableWidth(env))
}

func newClusterPools(env *Env) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "pools", Short: "list the pools that the nodes share", Args: noArguments,
		Long: "List the pools that the nodes share, with the blocks that have an owner, and the\n" +
			"addresses that this node can lease without etcd.",
		Example: "  berth cluster pools\n  berth cluster pools --json | jq '.[] | .blocks - .claimed'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return listClusterPools(cmd.Context(), env, o) },
	}
	o.registerFlags(cmd, "domains")
	return cmd
}

func listClusterPools(ctx context.Context, env *Env, o listOptions) error {
	s, err := env.clusterStatus(ctx)
	if err != nil || o.json {
		return orJSON(env, s.Pools, err)
	}
	t := table{head: []string{"DOMAIN", "RANGE", "BLOCKS", "OWNED", "IDLE", "USED", "HERE", "FREE HERE"},
		whole: []string{"RANGE", "BLOCKS", "OWNED", "IDLE", "USED", "HERE", "FREE HERE"}}
	for _, p := range s.Pools {
		if o.quiet {
			fmt.Fprintln(env.Out, printable(p.Domain))
			continue
		}
		t.addRow(p.Domain, p.Range, fmt.Sprintf("%d of %d", p.Blocks, p.Block), strconv.Itoa(p.Claimed), strconv.Itoa(p.Idle),
			strconv.Itoa(p.Used), strconv.Itoa(p.Here), strconv.Itoa(p.FreeHere))
		t.addNote(p.Error)
	}
	if o.quiet {
		return nil
	}
	return t.writeTable(env.Out, o.tableWidth(env))
}

// clusterStatus asks the agent for the cluster, and warns if etcd does not answer.
func (env *Env) clusterStatus(ctx context.Context) (specs.ClusterStatus, error) {
	s, err := client.New(env.dirs.State).Cluster(ctx)
	if err != nil {
		return s, err
	}
	if s.Error != "" {
		env.warnf("only this node is shown: %s", printable(s.Error))
	}
	for _, bad := range s.Invalid[:min(len(s.Invalid), maxWarned)] {
		env.warnf("%s", printable(bad))
	}
	if more := len(s.Invalid) - maxWarned; more > 0 {
		env.warnf("%d more keys of etcd are invalid", more)
	}
	return s, nil
}

// maxWarned bounds the invalid keys of etcd that are shown.
const maxWarned = 10

// orJSON prints a list as JSON, or returns the error.
func orJSON[T any](env *Env, all []T, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(env.Out, all)
}

func newClusterForget(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "forget NODE", Short: "release the blocks of a node that will not come back",
		Long: "Release the blocks, static addresses and MACs of a node that will not come back.\n" +
			"NODE is its name or its identity. Other nodes may then give out its addresses.\n" +
			"A node that is present is refused. Make sure that the node's containers do not\n" +
			"run: if the machine runs without reaching etcd, it goes on using its addresses.",
		Example:           "  berth cluster nodes\n  berth cluster forget rack2-node7",
		Args:              argumentCount(1, 1, "NODE"),
		ValidArgsFunction: completeNodes(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forgetNode(cmd.Context(), env, args[0], asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func forgetNode(ctx context.Context, env *Env, name string, asJSON bool) error {
	released, err := client.New(env.dirs.State).Forget(ctx, name)
	if err != nil || asJSON {
		return orJSON(env, released, err)
	}
	_, err = fmt.Fprintf(env.Out, "forgotten; %d blocks, addresses and prefixes of MACs are released\n", len(released))
	return err
}

// completeNodes completes the name of an absent node.
func completeNodes(env *Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if len(args) == 0 {
			s, _ := client.New(env.dirs.State).Cluster(cmd.Context())
			for _, n := range s.Nodes {
				if !n.Present {
					names = append(names, cmp.Or(n.Name, n.ID))
				}
			}
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
