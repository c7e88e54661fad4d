package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"berth/internal/state"
)

func newHeal(env *Env) *cobra.Command {
	var asJSON, stay bool
	cmd := &cobra.Command{
		Use: "heal", Short: "make interfaces again that vanished with their parent", Args: noArguments,
		Long: "If a parent is removed (a USB adapter, a reloaded driver, a VLAN), the kernel\n" +
			"removes the interfaces on it from all containers. As soon as the parent is\n" +
			"back and up, this command makes those of living containers again, with the\n" +
			"same name, MAC, addresses, routes and counters. systemd runs it when the\n" +
			"agent sees the parent (berth-heal.path); without systemd, run it once with\n" +
			"--stay. A network with heal = false is left out.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.needRoot(cmd.CommandPath()); err != nil {
				return err
			}
			if stay {
				return stayHealing(cmd.Context(), env, asJSON)
			}
			return healInterfaces(cmd.Context(), env, asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&stay, "stay", false, "keep running, and do so whenever the agent sees a parent come back")
	return cmd
}

// healed is one interface that was made again, as --json prints it.
type healed struct {
	ContainerID string `json:"container_id"`
	Network     string `json:"network"`
	Interface   string `json:"interface"`
	Parent      string `json:"parent"`
}

// healInterfaces prints the interfaces that were made again also if others could not be made.
func healInterfaces(ctx context.Context, env *Env, asJSON bool) error {
	h := env.newHook()
	if err := h.Store.View(ctx, func(*state.Tx) error { return nil }); err != nil {
		return err
	}
	done, err := h.Heal(ctx)
	all := []healed{}
	for _, a := range done {
		all = append(all, healed{a.Containers[0], a.Network, a.Interface, a.Parent})
	}
	if asJSON {
		return errors.Join(err, writeJSON(env.Out, all))
	}
	_, printErr := fmt.Fprintf(env.Out, "interfaces made again: %d\n", len(all))
	return errors.Join(err, printErr)
}
