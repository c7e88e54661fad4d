package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
)

func newGC(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "gc", Short: "free what containers left behind that ended unseen", Args: noArguments,
		Long: "Free addresses, MACs and counters of attachments whose container ended\n" +
			"without its hook: the namespace is dead, the interface is gone, or whoever\n" +
			"made it was killed. Each start of a container does some of this, and the\n" +
			"agent does; what is in use is left alone.",
		RunE: func(cmd *cobra.Command, _ []string) error { return collectGarbage(cmd.Context(), env, asJSON) },
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// collectGarbage prints what was freed also where something resisted.
func collectGarbage(ctx context.Context, env *Env, asJSON bool) error {
	c, err := config.Load(env.dirs.Config)
	if err != nil {
		return err
	}
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	r := release.Releaser{
		Store: state.Open(env.dirs.State), BPFFS: env.dirs.BPFFS, Host: host,
		Log:       slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelWarn})),
		KeepEnded: time.Duration(c.Agent.KeepEnded),
	}
	done, failed := r.Collect(ctx, 0)
	if done.Released == nil {
		done.Released = []string{}
	}
	if asJSON {
		err = writeJSON(env.Out, []release.Report{done})
	} else {
		_, err = fmt.Fprintf(env.Out, "attachments released: %d\ncounters drained: %d\nrecords of ended ones removed: %d\n",
			len(done.Released), done.Drained, done.Pruned)
	}
	if failed != nil {
		return failed
	}
	return err
}
