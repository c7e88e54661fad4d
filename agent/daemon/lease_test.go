package daemon

import (
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"berth/internal/state"
	"berth/specs"
)

// TestLeaseEvents reads records whose lease changes, is lost and comes back.
func TestLeaseEvents(t *testing.T) {
	t.Parallel()
	store := state.Open(filepath.Join(t.TempDir(), "berth"))
	r := newRecords(store, testFormat(), slog.New(slog.DiscardHandler))
	var seen []string
	r.emit = func(e specs.Event) { seen = append(seen, string(e.Kind)+" "+e.Sender.ContainerID+": "+e.Detail) }
	at := &state.Attachment{Cookie: 7, Interface: "net1", Containers: []string{"web"}, Phase: specs.PhaseAttached, Created: time.Now(), Slot: 1,
		DHCP: []state.DHCPClient{{}, {IPv6: true, Unmanaged: true}}}
	lease := func(address string) *specs.DHCPLease {
		if address == "" {
			return nil
		}
		return &specs.DHCPLease{Address: netip.MustParsePrefix(address), Lifetime: 60}
	}
	for _, address := range []string{"192.0.2.1/24", "192.0.2.1/24", "192.0.2.2/24", "", "192.0.2.3/24"} {
		at.DHCP[0].Lease, at.DHCP[0].Began, at.DHCP[0].Lost = lease(address), at.DHCP[0].Began+1, ""
		if address == "" {
			at.DHCP[0].Lost = "the lease ended"
		}
		if err := store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(at) }); err != nil {
			t.Fatal(err)
		}
		if err := r.readExclusively(t.Context(), func(*reading) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"lease-changed web: 192.0.2.2/24 replaces 192.0.2.1/24",
		"lease-lost web: 192.0.2.2/24 is lost: the lease ended",
		"lease-changed web: 192.0.2.3/24 is leased after a loss",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("events %q, want %q", seen, want)
	}
}

func TestLeaseRows(t *testing.T) {
	t.Parallel()
	one := newRecord(&state.Attachment{Phase: specs.PhaseAttached, DHCP: []state.DHCPClient{
		{Lease: &specs.DHCPLease{Address: netip.MustParsePrefix("192.0.2.1/24"), Lifetime: 600}, Began: state.SinceBoot()},
		{IPv6: true, Lost: "the lease ended"},
	}}, make(intern))
	rows := leaseRows([]*record{one})
	if len(rows) != 2 || math.Abs(rows[0].Expires-float64(time.Now().Unix()+600)) > 2 || rows[1].Expires != 0 || rows[1].Family != "ipv6" {
		t.Errorf("%+v", rows)
	}
	one.rare.leases[0].ends = 0
	if rows := leaseRows([]*record{one}); !math.IsInf(rows[0].Expires, 1) {
		t.Errorf("a lease without end: %+v", rows[0])
	}
	one.phase = specs.PhaseEnded
	if rows := leaseRows([]*record{one}); len(rows) != 0 {
		t.Errorf("of an ended endpoint: %+v", rows)
	}
}
