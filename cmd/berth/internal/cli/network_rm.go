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

// removeNetworks removes the networks that can be removed, and returns errors for the others.
func removeNetworks(ctx context.Context, env *Env, names []string, force bool) (err error) {
	for _, name := range names {
		failed := removeNetwork(ctx, env, name)
		switch {
		case force && errors.Is(failed, fs.ErrNotExist):
		case failed != nil:
			env.warnf("%v", failed)
			err = errPrinted
		default:
			fmt.Fprintln(env.Out, name)
		}
	}
	return err
}

func removeNetwork(ctx context.Context, env *Env, name string) error {
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
	if err := atNetwork(config.Remove(env.dirs.Config, name)); err != nil {
		return err
	}
	if err := env.refreshDevices(); err != nil {
		env.warnf("network %s: %v", name, err)
	}
	return nil
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
