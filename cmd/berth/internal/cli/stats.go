package cli

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/internal/rates"
	"berth/specs"
)

const statsLong = `Show the traffic of each container's interfaces per second and since they were
attached, from the container's view, until interrupted. An interface that ended
is shown once more. The agent must be running.`

// statsOptions are the flags of `berth stats`.
type statsOptions struct {
	interval              time.Duration
	count                 int
	noStream, split, json bool
	bits                  bool
	sort                  string
}

func newStats(env *Env) *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use: "stats [CONTAINER...]", Short: "show traffic per second, continuously", Long: statsLong,
		Example: "  berth stats\n  berth stats web --interval 5s --split\n  berth stats --no-stream --json | jq " +
			"'[.name, .rates.receive.bytes]'",
		ValidArgsFunction: completeContainers(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.checkFlags(cmd); err != nil {
				return asUsageError(cmd, err)
			}
			return showStats(cmd.Context(), env, o, args)
		},
	}
	flags := cmd.Flags()
	intervalFlag(cmd, &o.interval)
	flags.IntVar(&o.count, "count", 0, "end after `N` intervals; 0 means never")
	flags.BoolVar(&o.noStream, "no-stream", false, "end after one interval")
	flags.BoolVar(&o.split, "split", false, "show siblings and LAN, and unicast, multicast and broadcast separately")
	flags.BoolVar(&o.bits, "bits", false, "show rates in bits instead of bytes")
	flags.StringVar(&o.sort, "sort", "", "sort by `COLUMN`, the greatest first: rx, tx, rx-packets, tx-packets, "+
		"rx-total, tx-total or violations")
	flags.BoolVar(&o.json, "json", false, "print one JSON object per line, always split")
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(sortNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// intervalLeast and intervalMost bound --interval: the agent reads all
// counters for each sample.
const (
	intervalLeast = 100 * time.Millisecond
	intervalMost  = time.Hour
)

func intervalFlag(cmd *cobra.Command, to *time.Duration) {
	cmd.Flags().DurationVar(to, "interval", time.Second, "the `TIME` between two readings of the counters")
}

func checkInterval(d time.Duration) error {
	if d < intervalLeast || d > intervalMost {
		return specs.Invalid("--interval", d.String(), "%s to %s", intervalLeast, "1h")
	}
	return nil
}

func (o *statsOptions) checkFlags(cmd *cobra.Command) error {
	switch {
	case o.count < 0:
		return specs.Invalid("--count", strconv.Itoa(o.count), "a number of intervals, or 0 to go on")
	case o.noStream && cmd.Flags().Changed("count"):
		return errors.New("--no-stream and --count exclude each other; give one of them")
	case o.noStream:
		o.count = 1
	}
	if o.sort != "" && statsOrders[o.sort] == nil {
		return specs.Invalid("--sort", o.sort, "one of %s", strings.Join(sortNames(), ", "))
	}
	return checkInterval(o.interval)
}

// showStats prints once per interval. It waits for an agent that went away, unless a number of
// intervals was given.
func showStats(ctx context.Context, env *Env, o statsOptions, containers []string) error {
	agent := client.New(env.dirs.State)
	follower := agent.Follower()
	before, status, err := takeSample(ctx, env, agent, follower)
	if err != nil {
		return err
	}
	wanted, err := selectContainers(before.Endpoints, containers)
	if err != nil {
		return err
	}
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	attached := true // the state printed last
	for printed, lost := 0, false; o.count == 0 || printed < o.count; {
		if !status.Attached && attached {
			env.warnf(notCounting)
		}
		attached = status.Attached
		now, current, err := nextSample(ctx, env, agent, follower, tick.C)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && o.count > 0:
			return err
		case err != nil && !lost:
			env.warnf("the agent does not answer, waiting for it: %v", err)
		case err == nil:
			readings := wanted(rates.Counting(rates.Between(before, now), current.Parents))
			o.sortReadings(readings)
			if err := printStats(env, o, now.At, readings); err != nil {
				return err
			}
			before, status, printed = now, current, printed+1
		}
		lost = err != nil
	}
	return nil
}

// nextSample takes a sample at the next tick. It returns an error if ctx is done before.
func nextSample(ctx context.Context, env *Env, agent *client.Client, follower *client.Follower,
	tick <-chan time.Time) (*rates.Sample, specs.AgentStatus, error) {
	select {
	case <-ctx.Done():
		return nil, specs.AgentStatus{}, ctx.Err()
	case <-tick:
		return takeSample(ctx, env, agent, follower)
	}
}

// statsOrders are the values of --sort; each returns the value that is sorted in descending
// order.
var statsOrders = map[string]func(*rates.Reading) float64{
	"rx":         func(r *rates.Reading) float64 { return r.Rates.Receive.Total().Bytes },
	"tx":         func(r *rates.Reading) float64 { return r.Rates.Transmit.Total().Bytes },
	"rx-packets": func(r *rates.Reading) float64 { return r.Rates.Receive.Total().Packets },
	"tx-packets": func(r *rates.Reading) float64 { return r.Rates.Transmit.Total().Packets },
	"rx-total":   func(r *rates.Reading) float64 { return float64(r.Counters.Receive.Total().Bytes) },
	"tx-total":   func(r *rates.Reading) float64 { return float64(r.Counters.Transmit.Total().Bytes) },
	"violations": func(r *rates.Reading) (n float64) {
		for _, of := range r.Violations {
			n += float64(of)
		}
		return n
	},
}

// sortNames returns the values of --sort.
func sortNames() []string { return slices.Sorted(maps.Keys(statsOrders)) }

// sortReadings sorts readings as --sort requires; equal ones stay in their order.
func (o *statsOptions) sortReadings(readings []rates.Reading) {
	if of := statsOrders[o.sort]; of != nil {
		slices.SortStableFunc(readings, func(a, b rates.Reading) int { return cmp.Compare(of(&b), of(&a)) })
	}
}

// takeSample reads the endpoints. The follower requests only those that have changed.
func takeSample(ctx context.Context, env *Env, agent *client.Client,
	follower *client.Follower) (*rates.Sample, specs.AgentStatus, error) {
	status, err := agent.RecentStatus(ctx)
	if err != nil {
		return nil, status, err
	}
	endpoints, err := follower.Endpoints(ctx)
	if err != nil {
		return nil, status, err
	}
	sortEndpoints(endpoints)
	return &rates.Sample{At: env.Now(), Endpoints: endpoints}, status, nil
}

// selectContainers returns a function that removes the endpoints that ended earlier and, if containers
// are named, those of others. A name also selects later containers of that name.
func selectContainers(now []specs.Endpoint, containers []string) (func([]rates.Reading) []rates.Reading, error) {
	ids := slices.Clone(containers)
	live := slices.DeleteFunc(slices.Clone(now), func(e specs.Endpoint) bool { return e.Phase == specs.PhaseEnded })
	for _, c := range containers {
		found, err := findContainer(live, c)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found[0].ContainerID)
	}
	other := func(r rates.Reading) bool {
		named := len(containers) == 0 || slices.Contains(containers, r.Name) ||
			slices.ContainsFunc(idsOf(&r.Endpoint), func(id string) bool { return slices.Contains(ids, id) })
		return r.Past || !named
	}
	return func(all []rates.Reading) []rates.Reading { return slices.DeleteFunc(all, other) }, nil
}
