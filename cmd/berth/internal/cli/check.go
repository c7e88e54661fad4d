package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/check"
	"berth/internal/foreign"
	"berth/internal/state"
	"berth/network"
)

const checkLong = `Check before any container starts whether this host can carry a network: the
kernel's features, the parent interface, its other users, the hypervisor's
settings, the engines and the agent. Without an argument, all networks are
checked. An interface can be checked before a network uses it. With --attached,
compare the interfaces of containers with their records.

Each line is pass, warn or fail, followed by the remedy. Nothing is changed.
The exit status is 1 if a line is fail.`

// agentTimeout bounds the wait for the agent's answer.
const agentTimeout = 2 * time.Second

func newCheck(env *Env) *cobra.Command {
	var attached, asJSON bool
	cmd := &cobra.Command{
		Use: "check [NETWORK|PARENT]", Short: "check a host and its networks, or attached interfaces", Long: checkLong,
		Example: "  berth check\n  berth check eth1\n  berth check lan --json | jq '.[] | select(.result != \"pass\")'\n" +
			"  berth check --attached\n  berth check --attached web",
		Args: argumentCount(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if attached {
				if err := env.needRoot(cmd.CommandPath() + " --attached"); err != nil {
					return err
				}
			}
			return runCheck(cmd.Context(), env, append(args, "")[0], attached, asJSON)
		},
	}
	networks, containers := completeNetworks(env), completeContainers(env)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) > 0:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case attached:
			return containers(cmd, args, text)
		}
		return networks(cmd, args, text)
	}
	cmd.Flags().BoolVar(&attached, "attached", false, "compare attached containers, or the named one, with the kernel")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func runCheck(ctx context.Context, env *Env, name string, attached, asJSON bool) error {
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	c := &check.Checker{Dirs: env.dirs, Host: host, Path: executablePath(),
		DockerNetworks: func() ([]foreign.Network, error) { return dockerNetworks(ctx) }}
	var lines []check.Line
	if attached {
		lines, err = checkAttached(ctx, env, c, name)
	} else {
		lines, err = runPreflight(ctx, env, c, name)
	}
	if err != nil {
		return err
	}
	if asJSON {
		err = writeJSON(env.Out, lines)
	} else {
		err = check.Write(env.Out, lines, env.Width)
	}
	if err == nil && check.Failed(lines) {
		return errPrinted
	}
	return err
}

func runPreflight(ctx context.Context, env *Env, c *check.Checker, name string) ([]check.Line, error) {
	names, err := env.readNames(ctx)
	if err == nil {
		c.Name = names.nameOf
	} // else the check itself reports the missing records
	asking, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	if status, err := client.New(env.dirs.State).Status(asking); err != nil {
		c.AgentErr = err
	} else {
		c.Agent = &status
	}
	return c.Preflight(ctx, name), nil
}

// checkAttached checks all containers, or the named one.
func checkAttached(ctx context.Context, env *Env, c *check.Checker, name string) ([]check.Line, error) {
	names, err := env.readNames(ctx)
	if err != nil {
		return nil, err
	}
	c.Name = names.nameOf
	if name == "" {
		return c.Attached(ctx, nil)
	}
	all, err := env.readEndpoints(ctx, false)
	if err != nil {
		return nil, err
	}
	found, err := findContainer(all, name)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range found {
		ids = append(ids, idsOf(&found[i])...)
	}
	return c.Attached(ctx, func(a *state.Attachment) bool {
		return slices.ContainsFunc(a.Containers, func(id string) bool { return slices.Contains(ids, id) })
	})
}

// containerNames maps containers' IDs to their names.
type containerNames map[string]string

func (env *Env) readNames(ctx context.Context) (containerNames, error) {
	all, err := env.readEndpoints(ctx, false)
	if err != nil {
		return nil, err
	}
	names := make(containerNames)
	for i := range all {
		names[all[i].ContainerID] = displayName(&all[i])
	}
	return names, nil
}

func (n containerNames) nameOf(a *state.Attachment) string {
	id := a.Containers[0]
	if name := n[id]; name != "" {
		return name
	}
	return shortID(id)
}

// executablePath returns the directories of executables: PATH, and those of engines and
// services.
func executablePath() []string {
	all := filepath.SplitList(os.Getenv("PATH"))
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return slices.DeleteFunc(all, func(dir string) bool { return !filepath.IsAbs(dir) })
}
