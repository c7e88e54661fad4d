package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/internal/foreign"
	"berth/specs"
)

const adoptLong = `Create a network with the settings of a macvlan or ipvlan network of docker,
podman or CNI: driver, mode, parent, MTU, subnets, gateways and ranges. The
addresses in use are excluded. Then print how each of its containers is started
on the new network. The other program's network and containers stay unchanged.

NETWORK is its name, or docker:NAME, podman:NAME or cni:NAME. docker is asked at
DOCKER_HOST or /run/docker.sock; the others' files are read.`

const adoptExample = `  berth adopt home --dry-run
  berth adopt docker:home --name lan
  berth adopt --file /etc/cni/net.d/10-home.conflist`

// adoptOptions are the flags of berth adopt.
type adoptOptions struct {
	name, file   string
	dryRun, keep bool
}

func newAdopt(env *Env) *cobra.Command {
	var o adoptOptions
	cmd := &cobra.Command{
		Use: "adopt [NETWORK]", Short: "create a network from one of docker, podman or CNI", Long: adoptLong,
		Example:           adoptExample,
		Args:              argumentCount(0, 1, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.file != "") {
				return asUsageError(cmd, errors.New("either NETWORK or --file is required"))
			}
			if err := env.needRoot(cmd.CommandPath()); err != nil {
				return err
			}
			return adopt(cmd.Context(), env, append(args, "")[0], o)
		},
	}
	cmd.Flags().StringVar(&o.name, "name", "", "`NAME` of the new network; by default the other's")
	cmd.Flags().StringVar(&o.file, "file", "", "`FILE` of podman or CNI that defines the network")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the network's file, and write nothing")
	cmd.Flags().BoolVar(&o.keep, "keep-addresses", false,
		"let its containers request their addresses; these are not excluded")
	return cmd
}

func adopt(ctx context.Context, env *Env, name string, o adoptOptions) error {
	found, err := env.foreignNetwork(ctx, name, o.file)
	if err != nil {
		return err
	}
	c, err := config.Load(env.dirs.Config)
	if err != nil {
		return err
	}
	holdings, err := foreign.NewReader(env.foreignPlaces(c.Agent.Docker)).ReadHoldings()
	if err != nil {
		return err
	}
	holdings = slices.DeleteFunc(holdings, func(h foreign.Holding) bool { return h.Network != found.Name })
	if o.name == "" {
		o.name = found.Name.Name
	}
	if err := specs.CheckNetworkName(o.name); err != nil {
		return fmt.Errorf("%w; choose another one with --name", err)
	}
	n, notes, err := adoptNetwork(found, o.name, heldAddresses(holdings, o.keep))
	if err != nil {
		return err
	}
	if err := writeAdopted(env, n, notes, o.dryRun); err != nil {
		return err
	}
	if found.Nerdctl {
		useOwnIDs(holdings)
	}
	moved, err := movedContainers(ctx, env.moverNames(ctx, c.Agent.Docker, c.Agent.Podman), holdings, o.keep)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(env.Out, newMover(found, n).textOf(moved))
	return err
}

// heldAddresses returns the addresses of containers that the new network excludes: none if the
// containers keep them.
func heldAddresses(holdings []foreign.Holding, keep bool) (all []netip.Addr) {
	if keep {
		return nil
	}
	for _, h := range holdings {
		all = append(all, h.Addresses...)
	}
	return all
}

// writeAdopted creates the network, or prints its file.
func writeAdopted(env *Env, n *specs.Network, notes []string, dryRun bool) error {
	if !dryRun {
		return createNetwork(env, n, notes)
	}
	text, err := specs.EncodeNetwork(n)
	if err != nil {
		return err
	}
	for _, note := range notes {
		env.warnf("network %s: %s", n.Name, note)
	}
	_, err = fmt.Fprintf(env.Out, "# %s\n%s\n", config.NetworkFile(env.dirs.Config, n.Name),
		strings.TrimSpace(string(text)))
	return err
}

// foreignPlaces returns the places of other programs' files below the environment's root.
func (env *Env) foreignPlaces(docker string) foreign.Places {
	p := foreign.Usual(docker)
	for _, path := range []*string{&p.Docker, &p.Podman, &p.CNI} {
		if *path != "" {
			*path = filepath.Join("/", env.root, *path)
		}
	}
	return p
}

// foreignNetwork returns the network that a file defines, or the one with a name.
func (env *Env) foreignNetwork(ctx context.Context, name, file string) (*foreign.Network, error) {
	if file != "" {
		n, err := foreign.ReadNetworkFile(file)
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", file, err)
		}
		return n, nil
	}
	all, err := foreign.ReadNetworks(foreign.UsualDefinitions(env.root))
	dockers, errDocker := dockerNetworks(ctx)
	all = append(all, dockers...)
	var texts []string
	var found []*foreign.Network
	for i := range all {
		texts = append(texts, all[i].Name.String())
		if all[i].Name.Name == name || all[i].Name.String() == name {
			found = append(found, &all[i])
		}
	}
	slices.Sort(texts)
	err = errors.Join(err, errDocker)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%q is the name of several networks; name one of them with its program: %s", name,
			strings.Join(texts, ", "))
	case err != nil:
		return nil, err
	case len(texts) == 0:
		return nil, fmt.Errorf("no macvlan or ipvlan network %q was found: docker, podman and CNI have none (docker is "+
			"asked only if it runs)", name)
	}
	return nil, fmt.Errorf("no macvlan or ipvlan network %q was found; there are: %s", name, strings.Join(texts, ", "))
}
