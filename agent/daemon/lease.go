package daemon

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"berth/agent/metrics"
	"berth/internal/state"
	"berth/specs"
)

// dhcpLease is the DHCP lease of one family of an attachment.
type dhcpLease struct {
	family  string
	address netip.Prefix  // the zero prefix if there is none
	ends    time.Duration // by CLOCK_BOOTTIME; 0 if it never ends
	lost    string        // why there is none
}

func dhcpLeasesOf(a *state.Attachment) (all []dhcpLease) {
	for i := range a.DHCP {
		c := &a.DHCP[i]
		if c.Unmanaged {
			continue
		}
		l := dhcpLease{family: c.Family(), lost: c.Lost}
		if c.Lease != nil {
			l.address = c.Lease.Address
			l.ends, _ = c.Ends()
		}
		all = append(all, l)
	}
	return all
}

// leaseEvents returns the events of a record's leases since its previous reading.
func leaseEvents(old, now *record) (all []specs.Event) {
	if old == nil || old.Created != now.Created || !now.isLive() || old.phase != specs.PhaseAttached {
		return nil
	}
	for _, l := range now.rareFacts().leases {
		i := slices.IndexFunc(old.rareFacts().leases, func(o dhcpLease) bool { return o.family == l.family })
		if i < 0 || old.rareFacts().leases[i].address == l.address {
			continue
		}
		e := specs.Event{Time: time.Now(), Kind: specs.LeaseChanged, Certainty: specs.Certain, Evidence: specs.ByLease,
			Parent: now.Parent, Sender: partyOf(now)}
		switch before := old.rareFacts().leases[i].address; {
		case !l.address.IsValid():
			e.Kind, e.Detail = specs.LeaseLost, fmt.Sprintf("%s is lost: %s", before, l.lost)
		case !before.IsValid():
			e.Detail = fmt.Sprintf("%s is leased after a loss", l.address)
		default:
			e.Detail = fmt.Sprintf("%s replaces %s", l.address, before)
		}
		all = append(all, e)
	}
	return all
}

// leaseRows returns the leases of the live records for a scrape.
func leaseRows(all []*record) (rows []metrics.Lease) {
	now, sinceBoot := time.Now(), state.SinceBoot()
	for _, r := range all {
		if !r.isLive() {
			continue
		}
		for _, l := range r.rareFacts().leases {
			row := metrics.Lease{Endpoint: &r.Endpoint, Family: l.family}
			switch {
			case l.address.IsValid() && l.ends == 0:
				row.Expires = math.Inf(1)
			case l.address.IsValid():
				row.Expires = math.Round(float64(now.Add(l.ends-sinceBoot).UnixMilli()) / 1000)
			}
			rows = append(rows, row)
		}
	}
	return rows
}
