package keep

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/dhcp"
	"berth/internal/state"
)

// counted is a client that has sent and received messages.
type counted struct {
	dhcp.Client
	messages dhcp.Counts
}

func (c counted) Counts() dhcp.Counts { return c.messages }

func newTestKeeper(t *testing.T) *Keeper {
	return &Keeper{Store: state.Open(filepath.Join(t.TempDir(), "state")), Log: slog.New(slog.DiscardHandler)}
}

// TestCountsGoOnAfterAnError requires that each message is counted once although an error makes the
// client begin again.
func TestCountsGoOnAfterAnError(t *testing.T) {
	k := newTestKeeper(t)
	c := &client{Keeper: k, Client: counted{messages: dhcp.Counts{"request": 3}}, counted: map[string]uint64{"request": 1}}
	c.restart(t.Context())
	if c.Client != nil {
		t.Error("the client does not begin again")
	}
	c.Client = counted{messages: dhcp.Counts{"request": 1, "ack": 1}}
	if err := c.recordCounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got map[string]uint64
	read := func(tx *state.Tx) error { got = tx.DHCPMessages(); return nil }
	if err := k.Store.View(t.Context(), read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]uint64{"request": 3, "ack": 1}, got); diff != "" {
		t.Error(diff)
	}
}

// TestProcessesOfEndedContainersAreForgotten requires that the keeper remembers processes of
// namespaces with a lease alone.
func TestProcessesOfEndedContainersAreForgotten(t *testing.T) {
	k := newTestKeeper(t)
	k.clients, k.pids = make(map[clientKey]*client), map[uint64]int{7: 1, 8: 2}
	a := &state.Attachment{Cookie: 8, Interface: "net1", Containers: []string{"web"}, Phase: "attached",
		DHCP: []state.DHCPClient{{Unmanaged: true}}}
	if err := k.Store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(a) }); err != nil {
		t.Fatal(err)
	}
	if _, err := k.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint64]int{8: 2}, k.pids); diff != "" {
		t.Error(diff)
	}
}
