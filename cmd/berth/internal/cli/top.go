package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/cmd/berth/internal/top"
)

const topLong = `Show parents, interfaces with their traffic per second, and violations as they
occur, until q is pressed. The data come from the agent; if it stops, the
command waits for it. In scripts, use berth stats.`

func newTop(env *Env) *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use: "top", Short: "watch traffic and violations", Long: topLong, Args: noArguments,
		Example: "  berth top\n  berth top --interval 5s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkInterval(interval); err != nil {
				return asUsageError(cmd, err)
			}
			return showTop(cmd.Context(), env, interval)
		},
	}
	intervalFlag(cmd, &interval)
	return cmd
}

func showTop(ctx context.Context, env *Env, interval time.Duration) error {
	if env.file == nil {
		return top.ErrNoTerminal
	}
	return top.Run(ctx, top.Options{
		Agent: client.New(env.dirs.State), Interval: interval, Terminal: env.file, Getenv: os.Getenv,
	})
}
