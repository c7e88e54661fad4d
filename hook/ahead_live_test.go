package hook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/internal/testnet"
)

// aheadHost is a host whose hooks run probers, in goroutines.
type aheadHost struct {
	*host
	probers sync.WaitGroup

	mu  sync.Mutex
	log bytes.Buffer // of the probers
}

// probeFor is the least time of a start that probes.
const probeFor = 4 * time.Second

const probedTwice = `parent = "PARENT"
conflict_timeout = "4s"
[[subnet]]
subnet = "192.0.2.0/24"
[[subnet]]
subnet = "2001:db8::/64"
`

func newAheadHost(t *testing.T) *aheadHost {
	t.Helper()
	h := &aheadHost{host: newHost(t)}
	h.network("lan", probedTwice)
	t.Cleanup(h.probers.Wait)
	return h
}

func (h *aheadHost) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(line)
}

func (h *aheadHost) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func (h *aheadHost) hook() *Hook {
	hook := h.host.hook()
	hook.StartProber = func(all []ProbeRequest) error {
		h.probers.Go(func() {
			p := &Hook{Dirs: h.dirs, Store: h.store, Log: slog.New(slog.NewTextHandler(h, nil))}
			err := p.ProbeAhead(context.WithoutCancel(h.Context()), all)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) { // on a slow machine it gives up: the next start probes
				h.Errorf("probe ahead: %v", err)
			}
		})
		return nil
	}
	return hook
}

// begin starts a container and reports whether it probed for its address, and so waited: it sent
// ARP without a sender's address before it announced the address.
func (h *aheadHost) begin(b *box) (waited bool) {
	h.Helper()
	wire := testnet.Capture(h, h.lan, "wire")
	if err := h.runHook(h.hook(), b.state("creating")); err != nil {
		h.Fatalf("start %s: %v", b.id, err)
	}
	r := h.firstOf(b.id)
	announced := wire.Next(time.Minute, func(f []byte) bool {
		if len(f) < 42 || !bytes.Equal(f[6:12], r.MAC[:]) || f[12] != 8 || f[13] != 6 {
			return false
		}
		sender := netip.AddrFrom4([4]byte(f[28:32]))
		waited = waited || sender.IsUnspecified()
		return sender == r.Addresses[0].Addr()
	})
	if announced == nil {
		h.Fatalf("%s did not announce %s", b.id, r.Addresses[0])
	}
	return waited
}

// beginSeen starts a container whose address was seen free. It must not probe, unless the machine is
// so slow that a sighting has expired meanwhile.
func (h *aheadHost) beginSeen(b *box) {
	h.Helper()
	var seen []lease.Sighting
	err := h.store.View(h.Context(), func(tx *state.Tx) error {
		seen = lease.Sightings(tx, h.attachments0(tx).Domain())
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	if !h.begin(b) {
		return
	}
	late := func(s lease.Sighting) bool { return exchange.Now()-s.At >= lease.SeenFor }
	if !slices.ContainsFunc(seen, late) {
		h.Errorf("%s probed for an address that was seen free: %+v", b.id, seen)
	}
}

// settle starts and stops a first container, and waits for its prober.
func (h *aheadHost) settle() {
	h.Helper()
	if b := h.box("first", "lan"); !h.begin(b) {
		h.Fatal("the first start did not wait")
	}
	h.probers.Wait()
}

func (h *aheadHost) addresses(id string) (all []string) {
	h.Helper()
	for _, p := range h.firstOf(id).Addresses {
		all = append(all, p.Addr().String())
	}
	return all
}

// sightings returns the sightings of the domain, after a change of each.
func (h *aheadHost) sightings(change func(*lease.Sighting)) (all []lease.Sighting) {
	h.Helper()
	err := h.store.Update(h.Context(), func(tx *state.Tx) error {
		domain := h.attachments0(tx).Domain()
		all = lease.Sightings(tx, domain)
		for i := range all {
			change(&all[i])
		}
		return lease.See(tx, domain, exchange.Now(), all)
	})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

func (h *aheadHost) attachments0(tx *state.Tx) *state.Attachment {
	all, err := tx.OfContainer("first")
	if err != nil || len(all) == 0 {
		h.Fatal("no first container: ", err)
	}
	return all[0]
}

func keep(*lease.Sighting) {}

func TestTheNextStartsDoNotWait(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.settle()
	if n := len(h.sightings(keep)); n != 2*maxProbedAhead+2 {
		t.Errorf("%d sightings, want the first container's and %d of each family", n, maxProbedAhead)
	}
	for _, id := range []string{"b", "c", "d"} {
		b := h.box(id, "lan")
		h.beginSeen(b)
		h.mustStop(b) // the next one takes the same addresses
	}
	h.probers.Wait()
	if got := h.addresses("first"); strings.Join(got, ",") != "192.0.2.1,2001:db8::1" {
		t.Errorf("addresses %v", got)
	}
	if log := h.logged(); log != "" {
		t.Errorf("logged: %s", log)
	}
}

// A start waits for the prober of another start instead of probing itself.
func TestAStartWaitsForTheProber(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	if !h.begin(h.box("first", "lan")) { // its prober ends a little later than the start
		t.Fatal("the first start did not wait")
	}
	h.beginSeen(h.box("b", "lan"))
}

// A requested address is probed for, even if a prober has seen it free.
func TestARequestedAddressIsAlwaysProbed(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.write("berth.toml", open)
	h.settle()
	testnet.Address(t, h.lan, "wire", "192.0.2.2/24")
	b := h.box("b", `[{"name":"lan","ips":["192.0.2.2"]}]`)
	err := h.runHook(h.hook(), b.state("creating"))
	if !errors.Is(err, plumb.ErrConflict) {
		t.Errorf("error %v", err)
	}
}

// A run without a prober, which could not probe once more, waits.
func TestARunWithoutAProberWaits(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.settle()
	began := time.Now()
	h.mustStart(h.box("b", "lan"))
	if took := time.Since(began); took < probeFor {
		t.Errorf("it took %v", took)
	}
}

func TestTwentyStartsAtOnceProbeAhead(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.settle()
	var boxes []*box
	var wg sync.WaitGroup
	for range 20 {
		boxes = append(boxes, h.box(testnet.Unique("c"), "lan"))
	}
	for _, b := range boxes {
		hook := h.hook()
		wg.Go(func() {
			if err := h.runHook(hook, b.state("creating")); err != nil {
				t.Errorf("start %s: %v", b.id, err)
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, b := range boxes {
		for _, a := range h.addresses(b.id) {
			if seen[a] {
				t.Errorf("%s was given twice", a)
			}
			seen[a] = true
		}
	}
	if !seen["192.0.2.21"] || seen["192.0.2.22"] {
		t.Errorf("a start has taken another's address for a foreign host's: %v", seen)
	}
}

// The first start of a host need not wait if a prober has read its bundle before.
func TestProbeBundle(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.network("closed", probedTwice)
	h.write("berth.toml", "[policy]\nnetworks = ['lan']\n")
	if err := h.store.Prepare(); err != nil {
		t.Fatal(err)
	}
	probe := func(annotations string) error {
		h.write("config.json", `{"process":{},"annotations":`+annotations+`}`)
		p := &Hook{Dirs: h.dirs, Store: h.store, Log: slog.New(slog.NewTextHandler(h, nil))}
		return p.ProbeBundle(t.Context(), h.dirs.Config+"/config.json")
	}
	for _, refused := range []string{`{"berth/networks":"closed"}`, `{"berth/networks":"lan,closed"}`, `{"berth/networks":"["}`} {
		if err := probe(refused); err == nil {
			t.Errorf("%s was not refused", refused)
		}
	}
	for _, none := range []string{`{}`, `null`, `3`} {
		if err := probe(none); err != nil {
			t.Errorf("%s: %v", none, err)
		}
	}
	if err := probe(`{"berth/networks":"lan"}`); err != nil {
		t.Fatal(err)
	}
	if h.begin(h.box("first", "lan")) {
		t.Error("the start waited")
	}
}
