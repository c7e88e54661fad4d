package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
)

func newGC(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "gc", Short: "release stale attachments", Args: noArguments,
		Long: "Release the addresses, MACs and counters of containers that ended without\n" +
			"their hook: berth-hook was killed, or the runtime did not call it. Repair\n" +
			"the interfaces and routes of berth host. Attach berth's programs to the\n" +
			"interfaces in containers that lack them, so that the frames between these\n" +
			"containers are counted and judged. Resources in use are not touched. The\n" +
			"agent, and each start of a container, also do a part of this.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.needRoot(cmd.CommandPath()); err != nil {
				return err
			}
			return collectGarbage(cmd.Context(), env, asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// gcReport is the result, for attachments and the host's own interfaces.
type gcReport struct {
	release.Report
	Host     hostshim.Report         `json:"host,omitzero"`
	Siblings release.OwnProgramsDone `json:"siblings,omitzero"`
}

// collectGarbage prints the freed resources also if others could not be freed.
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
	store := state.Open(env.dirs.State)
	if err := store.View(ctx, func(*state.Tx) error { return nil }); err != nil {
		return err // once: the next step reads the store first too
	}
	r := release.Releaser{
		Store: store, BPFFS: env.dirs.BPFFS, Host: host,
		Log:       env.warnings(),
		KeepEnded: time.Duration(c.Agent.KeepEnded),
	}
	var done gcReport
	done.Report, err = r.Collect(ctx, 0)
	var failed error
	done.Host, failed = env.hostShims().Reconcile(ctx)
	err = errors.Join(err, failed)
	_, failed = store.MendEnforcing(ctx)
	err = errors.Join(err, failed)
	done.Siblings, failed = r.AttachOwnPrograms(ctx)
	failed = errors.Join(err, failed)
	return errors.Join(failed, done.printReport(env, asJSON))
}

func (done *gcReport) printReport(env *Env, asJSON bool) error {
	if done.Released == nil {
		done.Released = []string{}
	}
	if asJSON {
		return writeJSON(env.Out, []*gcReport{done})
	}
	_, err := fmt.Fprintf(env.Out, "attachments released: %d\ncounters drained: %d\nrecords of ended attachments "+
		"removed: %d\n",
		len(done.Released), done.Drained, done.Pruned)
	routes := done.Host.Added + done.Host.Deleted
	if err == nil && routes+len(done.Host.Removed) > 0 {
		_, err = fmt.Fprintf(env.Out, "routes of the host repaired: %d\ninterfaces of the host removed: %d\n", routes,
			len(done.Host.Removed))
	}
	if err == nil && done.Siblings.Attached > 0 {
		_, err = fmt.Fprintf(env.Out, "sibling programs attached: %d\n", done.Siblings.Attached)
	}
	return err
}
