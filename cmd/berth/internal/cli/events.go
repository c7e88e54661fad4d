package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"berth/agent/client"
	"berth/specs"
)

// eventOptions are the flags of `berth events`.
type eventOptions struct {
	follow, json           bool
	kind, since, container string
}

func newEvents(env *Env) *cobra.Command {
	var o eventOptions
	cmd := &cobra.Command{
		Use: "events", Short: "show violations", Args: noArguments,
		Long: "Show the last 10,000 violations that the agent recorded, and with -f new ones\nas they occur.",
		Example: `  berth events
  berth events -f --kind mac-spoof
  berth events --since 10m --container web --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := o.parseFilter(env.Now())
			if err != nil {
				return asUsageError(cmd, err)
			}
			return showEvents(cmd.Context(), env, filter, o.json)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.follow, "follow", "f", false, "also print new events, until interrupted")
	flags.StringVar(&o.kind, "kind", "", "show only events of this `KIND`: "+kindNames())
	flags.StringVar(&o.since, "since", "", "show only events since `TIME`: a duration ago, as 10m, or a time in RFC 3339")
	flags.StringVar(&o.container, "container", "", "show only events of the container with this `ID` or prefix of an ID")
	flags.BoolVar(&o.json, "json", false, "print one JSON object per line")
	_ = cmd.RegisterFlagCompletionFunc("kind",
		cobra.FixedCompletions(strings.Split(kindNames(), ", "), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("container", completeContainers(env))
	return cmd
}

func kindNames() string {
	var all []string
	for _, k := range specs.EventKinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

func (o *eventOptions) parseFilter(now time.Time) (f client.Filter, err error) {
	f = client.Filter{Follow: o.follow, Kind: specs.Kind(o.kind), Container: o.container}
	if o.kind != "" && !strings.Contains(", "+kindNames()+", ", ", "+o.kind+", ") {
		return f, specs.Invalid("--kind", o.kind, "one of %s", kindNames())
	}
	if o.since != "" {
		f.Since, err = parseSince(o.since, now)
	}
	return f, err
}

// parseSince parses a duration before now, a time in RFC 3339 with or without its zone or
// time of day (then the local ones), or seconds since 1970.
func parseSince(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil && seconds >= 0 {
		return time.Unix(seconds, 0), nil
	}
	return time.Time{}, specs.Invalid("--since", s, "a duration ago, as 10m, or a time, as 2026-01-31T12:00:00Z")
}

// showEvents prints events as they arrive: the columns have fixed widths, as later events
// are not known.
func showEvents(ctx context.Context, env *Env, filter client.Filter, asJSON bool) error {
	enc := json.NewEncoder(env.Out)
	enc.SetEscapeHTML(false)
	if !asJSON && filter.Follow {
		writeEventHead(env.Out)
	}
	n := 0
	for e, err := range client.New(env.dirs.State).Events(ctx, filter) {
		if err != nil {
			return err
		}
		if asJSON {
			err = enc.Encode(e)
		} else {
			if n++; n == 1 && !filter.Follow {
				writeEventHead(env.Out)
			}
			err = writeEvent(env.Out, &e, env.Now().Location())
		}
		if err != nil {
			return err
		}
	}
	if n == 0 && !asJSON && !filter.Follow {
		env.warnf("no events")
	}
	return nil
}

const (
	eventLine   = "%-15s  %-18s  %-9s  %s  %s  %s\n" // "interface-vanished" is the longest kind
	parentWidth = unix.IFNAMSIZ - 1                  // without the final 0 byte
	senderWidth = 20
)

func writeEventHead(w io.Writer) {
	fmt.Fprintf(w, eventLine, "TIME", "KIND", "CERTAINTY", padText("PARENT", parentWidth),
		padText("SENDER", senderWidth), "WHAT")
}

// writeEvent writes a line, with "?" for an unknown sender.
func writeEvent(w io.Writer, e *specs.Event, zone *time.Location) error {
	sender := "?"
	if e.Sender != nil {
		sender = containerText(e.Sender)
	}
	_, err := fmt.Fprintf(w, eventLine, e.Time.In(zone).Format(time.Stamp), e.Kind, e.Certainty,
		padText(printable(e.Parent), parentWidth), padText(shortenText(printable(sender), senderWidth), senderWidth),
		printable(eventText(e)))
	return err
}

func containerText(p *specs.Party) string { return cmp.Or(p.Name, shortID(p.ContainerID)) }

// eventText describes the frame or the finding, its other parties, and the number of
// similar events left out.
func eventText(e *specs.Event) string {
	text := e.Detail
	if e.Frame.Destination != "" {
		text = frameText(e)
	}
	if e.Receiver != nil {
		text += ", to " + containerText(e.Receiver)
	}
	if e.Owner != nil {
		text += ", of " + containerText(e.Owner)
	}
	if e.Dropped {
		text += ", dropped"
	}
	if e.LeftOut > 0 {
		text += fmt.Sprintf(" (+%d)", e.LeftOut)
	}
	return text
}

// frameText describes a frame by its addresses and payload.
func frameText(e *specs.Event) string {
	f := &e.Frame
	text := fmt.Sprintf("%s > %s", e.MAC, f.Destination)
	if f.SourceIP.IsValid() {
		text += fmt.Sprintf(" %s > %s", endText(f.SourceIP, f.SourcePort), endText(f.DestinationIP, f.DestinationPort))
	}
	return text + " " + cmp.Or(f.Protocol, f.EtherType)
}

func endText(ip netip.Addr, port uint16) string {
	switch {
	case !ip.IsValid():
		return "?"
	case port == 0:
		return ip.String()
	}
	return netip.AddrPortFrom(ip, port).String()
}
