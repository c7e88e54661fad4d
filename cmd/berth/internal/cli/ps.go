package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/specs"
)

const psLong = `List the containers' interfaces with their traffic from the container's view:
RX is received, TX is transmitted. Interfaces that berth did not create have
the state "observed". "-" means that the interface is not counted,
because no agent has run since the boot or a purge. The violations of an
interface are listed below it; berth events shows each of them.`

func newPs(env *Env) *cobra.Command {
	var o listOptions
	var all bool
	cmd := &cobra.Command{
		Use: "ps", Short: "list attached interfaces with their traffic", Long: psLong, Args: noArguments,
		Example: "  berth ps\n  berth ps --all --wide\n  berth ps --json | jq -r '.[].addresses[]'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return listEndpoints(cmd.Context(), env, o, all) },
	}
	o.registerFlags(cmd, "the IDs of containers")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list ended ones too")
	return cmd
}

func listEndpoints(ctx context.Context, env *Env, o listOptions, all bool) error {
	endpoints, err := env.readEndpoints(ctx, all)
	if err != nil {
		return err
	}
	if len(endpoints) > 0 && !o.quiet {
		env.warnDetached(ctx)
		env.warnStale(ctx, endpoints)
	}
	if len(endpoints) == 0 && !o.quiet && !o.json {
		env.warnNoAgent(ctx)
	}
	return printEndpoints(env, o, endpoints)
}

func printEndpoints(env *Env, o listOptions, endpoints []specs.Endpoint) error {
	switch {
	case o.quiet:
		return printIDs(env, endpoints)
	case o.json:
		return writeJSON(env.Out, endpoints)
	}
	t := wideTable(env, endpoints)
	if !o.wide && !t.fitsWidth(env.Width) {
		t = compactTable(env, endpoints, noLimit)
		if !t.canShrink(env.Width) {
			t = compactTable(env, endpoints, addressMost)
		}
	}
	return t.writeTable(env.Out, o.tableWidth(env))
}

// notCounting is printed while the agent is detached.
const notCounting = "nothing is counted, because the agent is detached; attach with berth agent attach"

// warnDetached warns that the shown counts stand still. An agent that does not answer is no
// error.
func (env *Env) warnDetached(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	if status, err := client.New(env.dirs.State).Status(ctx); err == nil && !status.Attached {
		env.warnf(notCounting)
	}
}

// warnStale warns that observed interfaces are shown as of an earlier time, if no agent
// follows them.
func (env *Env) warnStale(ctx context.Context, endpoints []specs.Endpoint) {
	if !slices.ContainsFunc(endpoints, func(e specs.Endpoint) bool {
		return e.Origin == specs.OriginObserved && e.Phase == specs.PhaseAttached
	}) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	if _, err := client.New(env.dirs.State).Status(ctx); err != nil {
		env.warnf("observed interfaces are shown as the agent last saw them, because it does not answer; start berthd")
	}
}

// warnNoAgent warns that interfaces that berth did not create are not known, if no agent runs.
func (env *Env) warnNoAgent(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	if _, err := client.New(env.dirs.State).Status(ctx); errors.Is(err, client.ErrNoAgent) {
		env.warnf("interfaces that berth did not create are not listed: %v", client.ErrNoAgent)
	}
}

// sortEndpoints puts the live ones first, containers in the order of their first
// attachment, and each one's interfaces in the order of their creation.
func sortEndpoints(all []specs.Endpoint) {
	ended := func(e specs.Endpoint) int {
		if e.Phase == specs.PhaseEnded {
			return 1
		}
		return 0
	}
	type life struct {
		id    string
		ended int
	}
	first := make(map[life]time.Time)
	for i := range all {
		of := life{all[i].ContainerID, ended(all[i])}
		if t, ok := first[of]; !ok || all[i].Created.Before(t) {
			first[of] = all[i].Created
		}
	}
	slices.SortStableFunc(all, func(a, b specs.Endpoint) int {
		return cmp.Or(ended(a)-ended(b),
			first[life{a.ContainerID, ended(a)}].Compare(first[life{b.ContainerID, ended(b)}]),
			strings.Compare(a.ContainerID, b.ContainerID), a.Created.Compare(b.Created),
			strings.Compare(a.Interface, b.Interface))
	})
}

func printIDs(env *Env, endpoints []specs.Endpoint) error {
	seen := make(map[string]bool)
	for i := range endpoints {
		id := printable(endpoints[i].ContainerID)
		if !seen[id] {
			fmt.Fprintln(env.Out, id)
		}
		seen[id] = true
	}
	return nil
}

// wideTable has a row for each endpoint and a column for each fact.
func wideTable(env *Env, endpoints []specs.Endpoint) *table {
	t := &table{head: []string{
		"CONTAINER ID", "NAME", "NETWORK", "INTERFACE", "ADDRESSES", "MAC",
		"PARENT", "MODE", "STATE", "RX", "TX", "VIOLATIONS",
	}}
	for i := range endpoints {
		e := &endpoints[i]
		rx, tx := trafficCells(e)
		t.addRow(shortID(e.ContainerID), e.Name, e.NetworkText(), e.Interface, strings.Join(textsOf(e.Addresses), ","),
			e.MAC.String(), e.Parent, string(e.Mode), stateText(env, e), strings.Join(rx, ", "), strings.Join(tx, ", "),
			strings.Join(violationTexts(e), ", "))
	}
	return t
}

// addressMost is the length up to which an address with its prefix length stays in its column
// on a narrow terminal. Every IPv4 address does.
const addressMost = len("255.255.255.255/32")

// compactTable has two lines or more for each endpoint, to fit a narrow terminal. Addresses
// longer than most, which may be noLimit, are below.
func compactTable(env *Env, endpoints []specs.Endpoint, most int) *table {
	t := &table{head: []string{"CONTAINER", "NETWORK@IF", "ADDRESS, MAC", "PARENT, MODE", "RX", "TX"},
		whole: []string{"ADDRESS, MAC", "RX", "TX"}}
	for i := range endpoints {
		e := &endpoints[i]
		rx, tx := trafficCells(e)
		var short, notes []string
		for _, address := range textsOf(e.Addresses) {
			if most == noLimit || len(address) <= most {
				short = append(short, address)
			} else {
				notes = append(notes, address)
			}
		}
		t.addLines([]string{displayName(e)}, []string{dashIfEmpty(e.NetworkText()) + "@" + e.Interface},
			append(short, e.MAC.String()), []string{e.Parent, string(e.Mode)}, rx, tx)
		t.addNote(strings.Join(append(notes, remarkTexts(env, e)...), ", "))
	}
	return t
}

// trafficCells returns the received and transmitted bytes and packets, or nothing if the
// endpoint is not counted.
func trafficCells(e *specs.Endpoint) (rx, tx []string) {
	if !e.Counted {
		return nil, nil
	}
	text := func(c specs.Count) []string { return []string{byteText(c.Bytes), packetText(c.Packets)} }
	return text(e.Counters.Receive.Total()), text(e.Counters.Transmit.Total())
}

// remarkTexts returns the state of an interface that is not attached, and its violations.
func remarkTexts(env *Env, e *specs.Endpoint) (all []string) {
	if e.Phase != specs.PhaseAttached || e.Origin == specs.OriginObserved || !e.Vanished.IsZero() {
		all = append(all, stateText(env, e))
	}
	all = append(all, leaseTexts(e, env.Now)...)
	return append(all, violationTexts(e)...)
}

func stateText(env *Env, e *specs.Endpoint) string {
	if e.Phase == specs.PhaseEnded && !e.Ended.IsZero() {
		return "ended " + ageText(env.Now().Sub(e.Ended)) + " ago"
	}
	if e.Origin == specs.OriginObserved && e.Phase == specs.PhaseAttached {
		return string(e.Origin)
	}
	if e.Phase == specs.PhaseAttached && !e.Vanished.IsZero() {
		return "vanished " + ageText(env.Now().Sub(e.Vanished)) + " ago, with its parent"
	}
	if leases := leaseTexts(e, env.Now); len(leases) > 0 {
		return string(e.Phase) + "; " + strings.Join(leases, "; ")
	}
	return string(e.Phase)
}

// violationTexts returns a text on the count of each kind.
func violationTexts(e *specs.Endpoint) (all []string) {
	for _, kind := range specs.Kinds() {
		n, dropped := e.Violations[kind], e.Dropped[kind]
		switch {
		case dropped > 0:
			all = append(all, fmt.Sprintf("%s %d (%d dropped)", kind, n, dropped))
		case n > 0:
			all = append(all, fmt.Sprintf("%s %d", kind, n))
		}
	}
	return all
}
