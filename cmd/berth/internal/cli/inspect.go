package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/specs"
)

func newInspect(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "inspect ID...", Short: "show all details of a container's interfaces",
		Long: "Show all details of the interfaces of containers. ID is a container's name, its\nID, or a " +
			"unique prefix of its ID.",
		Example:           "  berth inspect web\n  berth inspect 3f2a91 --json",
		Args:              argumentCount(1, 0, "the container's ID"),
		ValidArgsFunction: completeContainers(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inspectContainers(cmd.Context(), env, args, asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// inspectContainers prints the containers that it finds, and an error for the others.
func inspectContainers(ctx context.Context, env *Env, ids []string, asJSON bool) (err error) {
	all, err := env.readEndpoints(ctx, true)
	if err != nil {
		return err
	}
	var found []specs.Endpoint
	for _, id := range ids {
		endpoints, unknown := findContainer(all, id)
		if unknown != nil {
			env.warnf("%v", unknown)
			err = errPrinted
		}
		found = append(found, endpoints...)
	}
	if asJSON {
		if failed := writeJSON(env.Out, found); failed != nil {
			return failed
		}
		return err
	}
	for i := range found {
		if i > 0 {
			fmt.Fprintln(env.Out)
		}
		describeEndpoint(env.Out, &found[i], env.Now())
	}
	return err
}

// observedText returns the origin of an interface that berth did not create.
func observedText(e *specs.Endpoint) string {
	if e.Origin != specs.OriginObserved {
		return ""
	}
	return "observed: berth did not create it"
}

// addressText returns an address as text, or "" for the zero Addr.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// describeEndpoint prints one endpoint as keys and values, without those that are not known or not
// set.
func describeEndpoint(w io.Writer, e *specs.Endpoint, now time.Time) {
	writeFields(w, [][2]string{
		{"container", e.ContainerID},
		{"shared with", strings.Join(sharerNames(e), ", ")},
		{"name", e.Name},
		{"image", e.Image},
		{"pod", e.Pod},
		{"namespace", e.Namespace},
		{"network", dashIfEmpty(e.NetworkText())},
		{"interface", e.Interface},
		{"state", phaseText(e, now)},
		{"origin", observedText(e)},
		{"addresses", strings.Join(textsOf(e.Addresses), ", ")},
		{"link-local", addressText(e.LinkLocal)},
		{"IPv6 token", addressText(e.IPv6Token)},
		{"MAC", e.MAC.String()},
		{"DHCP", strings.Join(leaseTexts(e, func() time.Time { return now }), ", ")},
	})
	for _, d := range e.DHCP {
		describeLease(w, d.Lease, now)
		describeOptions(w, d.Options)
	}
	describePlace(w, e)
	describeTraffic(w, e)
}

// describePlace prints an endpoint's routes, its parent and its mode.
func describePlace(w io.Writer, e *specs.Endpoint) {
	parent := e.Parent
	if e.VLAN != 0 {
		parent += fmt.Sprintf(" (VLAN %d)", e.VLAN)
	}
	writeFields(w, [][2]string{
		{"gateways", joinText(e.Gateways)},
		{"routes", routesText(e.Routes)},
		{"parent", parent},
		{"mode", string(e.Driver) + " " + string(e.Mode)},
		{"MTU", strconv.Itoa(e.MTU)},
	})
}

// describeTraffic prints an endpoint's counts and violations.
func describeTraffic(w io.Writer, e *specs.Endpoint) {
	if !e.Counted {
		writeFields(w, [][2]string{{"traffic", "not counted, because no agent has run since the boot or a purge"}})
		return
	}
	writeFields(w, [][2]string{
		{"received", countText(e.Counters.Receive.Total())},
		{"", siblingText(e.Counters.Receive)},
		{"", groupText(e.GroupPackets)},
		{"sent", countText(e.Counters.Transmit.Total())},
		{"", siblingText(e.Counters.Transmit)},
	})
	broke := violationTexts(e)
	if len(broke) == 0 {
		broke = []string{"none"}
	}
	writeFields(w, [][2]string{{"violations", broke[0]}})
	for _, more := range broke[1:] {
		writeFields(w, [][2]string{{"", more}})
	}
}

// writeFields prints the pairs whose value is not empty, one per line.
func writeFields(w io.Writer, pairs [][2]string) {
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(w, "%-12s %s\n", p[0], printable(p[1]))
		}
	}
}

func phaseText(e *specs.Endpoint, now time.Time) string {
	text := func(t time.Time) string { return t.In(now.Location()).Format("2006-01-02 15:04:05 MST") }
	if e.Phase == specs.PhaseEnded {
		return fmt.Sprintf("ended %s, %s ago", text(e.Ended), ageText(now.Sub(e.Ended)))
	}
	return fmt.Sprintf("%s, since %s (%s)", e.Phase, text(e.Created), ageText(now.Sub(e.Created)))
}

func countText(c specs.Count) string { return byteText(c.Bytes) + " in " + packetText(c.Packets) }

// siblingText returns the part of the traffic that stays on the parent; "" if there is none.
func siblingText(t specs.Traffic) string {
	if t.Local.Total() == (specs.Count{}) {
		return ""
	}
	return "of this, with siblings on the parent " + countText(t.Local.Total())
}

// groupText returns the count of multicast and broadcast copies delivered to the interface,
// which the parent does not see; "" if not known.
func groupText(packets *uint64) string {
	if packets == nil {
		return ""
	}
	return "in addition, multicast and broadcast " + packetText(*packets)
}

func routesText(routes []specs.Route) string {
	var all []string
	for _, r := range routes {
		text := r.To.String()
		if r.Via.IsValid() {
			text += " via " + r.Via.String()
		}
		if r.Metric != 0 {
			text += " metric " + strconv.Itoa(r.Metric)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func joinText[T fmt.Stringer](all []T) string {
	var words []string
	for _, v := range all {
		words = append(words, v.String())
	}
	return strings.Join(words, ", ")
}

// sharerNames returns the other containers in an endpoint's namespace: their names, or their
// IDs if the names are not known.
func sharerNames(e *specs.Endpoint) (all []string) {
	for i, id := range e.Containers {
		name := shortID(id)
		if i < len(e.ContainerNames) && e.ContainerNames[i] != "" {
			name = e.ContainerNames[i]
		}
		if id != e.ContainerID {
			all = append(all, name)
		}
	}
	return all
}
