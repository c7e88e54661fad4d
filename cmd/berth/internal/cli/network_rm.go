package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
		RunE:              func(cmd *cobra.Command, args []string) error { return removeNetworks(cmd.Context(), env, args, force) },
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "no error for a network that does not exist")
	return cmd
}

// removeNetworks removes those that can be and says why the others cannot.
func removeNetworks(ctx context.Context, env *Env, names []string, force bool) (err error) {
	for _, name := range names {
		failed := removeNetwork(ctx, env, name)
		switch {
		case force && errors.Is(failed, fs.ErrNotExist):
		case failed != nil:
			env.warn("%v", failed)
			err = errSaid
		default:
			fmt.Fprintln(env.Out, name)
		}
	}
	return err
}

func removeNetwork(ctx context.Context, env *Env, name string) error {
	users, err := usersOf(ctx, env, name)
	if err != nil {
		return fmt.Errorf("network %q: who uses it: %w", name, err)
	}
	if len(users) > 0 {
		return fmt.Errorf("network %q is in use by %s; stop them first", name, strings.Join(users, ", "))
	}
	shim, err := env.shimOf(ctx, name)
	if err != nil {
		return fmt.Errorf("network %q: whether the host is on it: %w", name, err)
	}
	if shim != nil {
		return fmt.Errorf("network %q is in use by this host, by its interface %s; berth host disable %[1]s first", name, shim.Interface)
	}
	return specs.At("network", config.Remove(env.dirs.Config, name))
}

// maxUsers is how many users of a network an error names.
const maxUsers = 8

// usersOf names the containers that are attached to a network, or are being.
func usersOf(ctx context.Context, env *Env, network string) (users []string, err error) {
	n := 0
	err = state.Open(env.dirs.State).View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if a.Network != network {
				continue
			}
			if n++; n <= maxUsers {
				users = append(users, userText(a))
			}
		}
		return nil
	})
	if n > maxUsers {
		users = append(users, fmt.Sprintf("and %d more", n-maxUsers))
	}
	return users, err
}

func userText(a *state.Attachment) string {
	name := agent.NamesOf(a.Annotations).Name
	if name == "" && len(a.Containers) > 0 {
		name = shortID(a.Containers[0])
	}
	name = printable(name)
	if len(a.Addresses) == 0 {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, a.Addresses[0].Addr())
}
