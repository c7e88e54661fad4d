package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"berth/agent"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

func newNetworkRm(env *Env) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "rm NAME...", Aliases: []string{"remove"}, Short: "remove networks that no container uses",
		Example:           "  berth network rm lan",
		Args:              networkNames(1, 0, "the network's NAME"),
		ValidArgsFunction: completeNetworks(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.needRoot(cmd.CommandPath()); err != nil {
				return err
			}
			return removeNetworks(cmd.Context(), env, args, force)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "ignore networks that do not exist")
	return cmd
}

// removeNetworks removes all of the networks, or prints why some cannot be removed, and removes none.
func removeNetworks(ctx context.Context, env *Env, names []string, force bool) error {
	var removable []string
	failed := false
	for _, name := range names {
		if slices.Contains(removable, name) {
			continue
		}
		err := checkRemovable(ctx, env, name)
		switch {
		case err == nil:
			removable = append(removable, name)
		case !force || !errors.Is(err, fs.ErrNotExist):
			env.warnf("%v", err)
			failed = true
		}
	}
	if failed {
		if len(removable) > 0 {
			env.warnf("no network was removed")
		}
		return errPrinted
	}
	for _, name := range removable {
		if err := atNetwork(config.Remove(env.dirs.Config, name)); err != nil && !(force && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		if err := env.refreshDevices(); err != nil {
			env.warnf("network %s: %v", name, err)
		}
		fmt.Fprintln(env.Out, name)
	}
	return nil
}

// checkRemovable returns an error if a network does not exist or is in use.
func checkRemovable(ctx context.Context, env *Env, name string) error {
	users, err := usersOf(ctx, env, name)
	if err != nil {
		return fmt.Errorf("network %q: cannot list the containers that use it: %w", name, err)
	}
	if len(users) > 0 {
		return fmt.Errorf("network %q is in use by %s; stop them first", name, strings.Join(users, ", "))
	}
	shim, err := env.shimOf(ctx, name)
	if err != nil {
		return fmt.Errorf("network %q: cannot check whether the host is on it: %w", name, err)
	}
	if shim != nil {
		return fmt.Errorf("network %q is in use by this host (interface %s); remove the interface first: berth host "+
			"disable %[1]s", name, shim.Interface)
	}
	return atNetwork(config.Exists(env.dirs.Config, name))
}

// maxUsers is the maximum of users of a network that an error names.
const maxUsers = 8

// usersOf returns the names of the containers that are attached to a network, or are being
// attached, sorted.
func usersOf(ctx context.Context, env *Env, network string) ([]string, error) {
	return containersOf(ctx, env, func(a *state.Attachment) bool { return a.Network == network })
}

// containersOf returns the names of the containers of the selected attachments, sorted.
func containersOf(ctx context.Context, env *Env, selects func(*state.Attachment) bool) (users []string, err error) {
	var on []specs.Endpoint
	err = state.Open(env.dirs.State).View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if selects(a) && len(a.Containers) > 0 {
				on = append(on, specs.Endpoint{
					ContainerID: a.Containers[0], Name: agent.NamesOf(a.Annotations).Name, Addresses: a.Addresses,
				})
			}
		}
		return nil
	})
	env.addNames(ctx, on)
	for i := range on {
		users = append(users, userText(&on[i]))
	}
	slices.Sort(users)
	if n := len(users) - maxUsers; n > 0 {
		users = append(users[:maxUsers], fmt.Sprintf("and %d more", n))
	}
	return users, err
}

func userText(e *specs.Endpoint) string {
	name := printable(displayName(e))
	if len(e.Addresses) == 0 {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, e.Addresses[0].Addr())
}
