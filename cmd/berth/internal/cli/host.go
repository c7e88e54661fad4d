package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

func newHost(env *Env) *cobra.Command {
	return commandGroup("host", "let this host and its containers of a network reach each other",
		newHostEnable(env), newHostDisable(env), newHostLs(env))
}

func newHostEnable(env *Env) *cobra.Command {
	var texts []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "enable NETWORK", Short: "create the host's interface to a network's containers",
		Long: "Create an interface of the host on the network's parent, with an address from\n" +
			"the network's pool and a route to each container. The routes follow the\n" +
			"containers that start and stop, until berth host disable or a reboot. If the\n" +
			"interface exists already, it is repaired.",
		Example:           "  berth host enable lan\n  berth host enable lan --ip 192.0.2.250",
		Args:              networkNames(1, 1, "NETWORK"),
		ValidArgsFunction: completeNetworks(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			ips, err := parseAddresses(texts)
			if err != nil {
				return asUsageError(cmd, err)
			}
			return enableHost(cmd.Context(), env, args[0], ips, asJSON)
		},
	}
	cmd.Flags().StringSliceVar(&texts, "ip", nil, "address of the host, one for each subnet (default: from the pool)")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func parseAddresses(texts []string) (all []netip.Addr, err error) {
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return nil, specs.Invalid("--ip", text, "an address, as 192.0.2.250")
		}
		all = append(all, a.Unmap())
	}
	return all, nil
}

func enableHost(ctx context.Context, env *Env, name string, ips []netip.Addr, asJSON bool) error {
	n, err := config.Network(env.dirs.Config, name)
	if err != nil {
		return atNetwork(err)
	}
	if err := env.rehomeAttachments(ctx); err != nil {
		return err
	}
	shim, err := env.hostShims().Enable(ctx, n, ips)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(env.Out, []specs.HostShim{*shim})
	}
	_, err = fmt.Fprintf(env.Out, "%s %s %s, routes to %s\n", shim.Interface, shim.MAC,
		strings.Join(textsOf(shim.Addresses), " "), countNoun(len(shim.Routes), "address"))
	return err
}

// rehomeAttachments corrects the records of containers whose parent came back with another
// index, so that the host does not get the address of one.
func (env *Env) rehomeAttachments(ctx context.Context) error {
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	r := release.Releaser{Store: state.Open(env.dirs.State), BPFFS: env.dirs.BPFFS, Host: host, Log: env.warnings()}
	_, err = r.Rehome(ctx)
	return err
}

func countNoun(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ses", n, what)
}

// textsOf returns the values as text.
func textsOf[T fmt.Stringer](all []T) (texts []string) {
	for _, v := range all {
		texts = append(texts, v.String())
	}
	return texts
}

func newHostDisable(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "disable NETWORK", Short: "remove that interface, its routes and its addresses",
		Example:           "  berth host disable lan",
		Args:              networkNames(1, 1, "NETWORK"),
		ValidArgsFunction: completeNetworks(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			return disableHost(cmd.Context(), env, args[0], asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// disableHost prints the removed addresses. A network whose file is gone may have left its
// shim.
func disableHost(ctx context.Context, env *Env, name string, asJSON bool) error {
	if err := specs.CheckNetworkName(name); err != nil {
		return atNetwork(err)
	}
	shim, err := env.hostShims().Disable(ctx, name)
	if err != nil {
		return err
	}
	var gone []specs.HostShim
	if shim == nil {
		if _, err := config.Network(env.dirs.Config, name); errors.Is(err, fs.ErrNotExist) {
			return atNetwork(err)
		}
	} else {
		gone = append(gone, *shim)
	}
	if asJSON {
		return writeJSON(env.Out, gone)
	}
	for _, s := range gone {
		fmt.Fprintln(env.Out, s.Interface)
	}
	return nil
}

// hostShims returns the shims of this host.
func (env *Env) hostShims() *hostshim.Shims {
	return &hostshim.Shims{Store: state.Open(env.dirs.State), Log: env.warnings()}
}

// warnings returns a logger that writes warnings and errors to standard error.
func (env *Env) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// shimsByNetwork returns the existing shims. Only root may see them, like the containers.
func (env *Env) shimsByNetwork(ctx context.Context) map[string]*specs.HostShim {
	all, err := env.hostShims().List(ctx)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		env.warnf("cannot list the networks that the host is on: %v", err)
	}
	by := make(map[string]*specs.HostShim)
	for i := range all {
		by[all[i].Network] = &all[i]
	}
	return by
}

// shimOf returns the shim of a network, or nil if it has none.
func (env *Env) shimOf(ctx context.Context, network string) (*specs.HostShim, error) {
	all, err := env.hostShims().List(ctx)
	for i := range all {
		if all[i].Network == network {
			return &all[i], err
		}
	}
	return nil, err
}
