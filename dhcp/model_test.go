package dhcp

import (
	"flag"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"berth/specs"
)

var modelSeed = flag.Uint64("model.seed", 0, "seed of the model test; 0 for a random one")

// world is a LAN with one client and one unreliable server, on a virtual clock. It is the
// model: it records which address the server holds for the client, and until when.
type world struct {
	*testing.T
	random *rand.Rand
	client Client
	server func(Action) (Packet, bool) // answers a message, or not
	now    time.Duration

	granted map[netip.Addr]time.Duration // the end of the server's last grant, by address
	using   *Lease                       // the lease that the client's user uses
	sent    map[time.Duration]int        // messages by second

	returned map[dhcpv6.TransactionID]int // Declines and Releases; 2 once one is answered
}

// carryOut carries the actions out. Messages reach the server, sometimes.
func (w *world) carryOut(all []Action) {
	for _, a := range all {
		switch a.Kind {
		case Send:
			second := w.now / time.Second
			if w.sent[second]++; w.sent[second] > 40 {
				w.Fatalf("at %s: %d messages within a second", w.now, w.sent[second])
			}
			if w.using != nil && w.client.Lease() != nil && (a.Type == "discover" || a.Type == "solicit") {
				w.Fatalf("at %s: %s although %s is leased", w.now, a.Type, w.using.Address)
			}
			if p, ok := w.server(a); ok {
				w.now += time.Duration(w.random.IntN(20)) * time.Millisecond
				w.carryOut(w.client.Receive(w.now, p))
			}
		case Obtained:
			w.checkGrant(a.Lease)
			if w.random.IntN(8) == 0 {
				w.carryOut(w.client.Decline(w.now))
				break
			}
			w.carryOut(w.client.Accept(w.now))
			w.using = a.Lease
		case Renewed:
			w.checkGrant(a.Lease)
			if w.using == nil || a.Lease.Address != w.using.Address {
				w.Fatalf("at %s: renewed %s in place of %+v", w.now, a.Lease.Address, w.using)
			}
			w.using = a.Lease
		case Lost:
			if w.using == nil || a.Old.Address != w.using.Address {
				w.Fatalf("at %s: lost %s in place of %+v", w.now, a.Old.Address, w.using)
			}
			w.using = nil
		}
	}
}

// checkGrant fails if a lease lasts longer than the server granted.
func (w *world) checkGrant(l *Lease) {
	ends, ok := l.Ends()
	if !ok {
		return
	}
	if granted := w.granted[l.Address.Addr()]; ends > granted {
		w.Fatalf("at %s: lease of %s until %s, granted until %s", w.now, l.Address, ends, granted)
	}
}

// step advances the clock to the client's next wake, or beyond, and checks the
// invariants.
func (w *world) step() {
	at, ok := w.client.Wake()
	if !ok {
		at = w.now + time.Minute
	}
	if w.using != nil {
		if ends, finite := w.using.Ends(); finite && (!ok || at > max(ends, w.now)) {
			w.Fatalf("at %s: the client wakes at %s, its lease ends at %s; state %s", w.now, at, ends, w.client.State())
		}
	}
	switch w.random.IntN(10) {
	case 0:
		at += time.Duration(w.random.IntN(300)) * time.Second // the machine was suspended, or the process dead
	case 1:
		w.carryOut(w.client.LinkUp(w.now))
	}
	w.now = max(w.now, at)
	w.carryOut(w.client.Tick(w.now))
	if next, ok := w.client.Wake(); ok && next <= w.now && w.client.State() != Checking {
		w.now++
		w.carryOut(w.client.Tick(w.now))
		if next, ok := w.client.Wake(); ok && next < w.now {
			w.Fatalf("at %s: the client wakes at %s, in state %s", w.now, next, w.client.State())
		}
	}
	if w.using != nil {
		if ends, ok := w.using.Ends(); ok && w.now >= ends {
			w.Fatalf("at %s: %s is used, its lease ended at %s; state %s", w.now, w.using.Address, ends, w.client.State())
		}
	}
	l := w.client.Lease()
	if (l == nil) != (w.using == nil) || l != nil && l.Address != w.using.Address {
		w.Fatalf("at %s: the client has %+v, its user %+v", w.now, l, w.using)
	}
}

// runModel runs many worlds; at the end of each, the server becomes reliable and
// the client must be bound soon.
func runModel(t *testing.T, make func(w *world, faulty *bool) (client func() Client, server func(Action) (Packet, bool))) {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-model.seed=%d", seed)
	for run := range uint64(60) {
		w := &world{T: t, random: rand.New(rand.NewPCG(seed, run)), granted: map[netip.Addr]time.Duration{}, sent: map[time.Duration]int{},
			returned: map[dhcpv6.TransactionID]int{}}
		faulty := true
		client, server := make(w, &faulty)
		w.client, w.server = client(), server
		w.carryOut(w.client.Start(w.now, Memory{}))
		for range 300 {
			w.step()
			if w.random.IntN(40) == 0 && w.client.Lease() != nil { // killed and started again
				w.client = client()
				w.step()
			}
		}
		faulty = false
		until := w.now + 15*time.Minute
		for w.client.State() != Bound && w.now < until {
			w.step()
		}
		if w.client.State() != Bound {
			t.Fatalf("run %d: state %s a quarter of an hour after the server became reliable; seen %q", run, w.client.State(), w.client.Seen())
		}
		w.release(w.random.IntN(2) == 0, &faulty)
	}
}

// release ends the client. It must stop within a second, whether or not the server answers, and
// use no lease afterwards.
func (w *world) release(silent bool, faulty *bool) {
	*faulty = silent
	if w.using == nil {
		w.Fatalf("at %s: bound without a lease", w.now)
	}
	w.using = nil
	w.carryOut(w.client.Release(w.now))
	for until := w.now + time.Second; w.client.State() != Stopped; {
		at, ok := w.client.Wake()
		if !ok || at > until {
			w.Fatalf("at %s: released, in state %s until %s", w.now, w.client.State(), at)
		}
		w.now = max(w.now, at)
		w.carryOut(w.client.Tick(w.now))
	}
	if _, ok := w.client.Wake(); ok || w.client.Lease() != nil || len(w.client.LinkUp(w.now)) > 0 {
		w.Fatalf("at %s: a stopped client goes on", w.now)
	}
}

func TestModel4(t *testing.T) {
	t.Parallel()
	runModel(t, func(w *world, faulty *bool) (func() Client, func(Action) (Packet, bool)) {
		cfg := newTest4().cfg
		cfg.Random = w.random
		client := func() Client {
			if w.using != nil {
				return Resume4(cfg, w.using)
			}
			return New4(cfg)
		}
		addr := byte(10)
		return client, func(a Action) (Packet, bool) {
			m, err := dhcpv4.FromBytes(a.Payload)
			if err != nil {
				w.Fatal(err)
			}
			if *faulty && w.random.IntN(20) == 0 {
				addr++ // another address from now on
			}
			ip := netip.AddrFrom4([4]byte{192, 0, 2, 2 + addr%200})
			options := []option{with(51, 0, 0, byte(w.random.IntN(2)), byte(20+w.random.IntN(200)))}
			switch n := w.random.IntN(10); {
			case *faulty && n < 4:
				return Packet{}, false
			case *faulty && n == 4:
				options = append(options, with(51, 0, 0, 0, 0))
			case *faulty && n == 5 && m.MessageType() == dhcpv4.MessageTypeRequest:
				return reply(m, nak, ""), true
			}
			switch m.MessageType() {
			case dhcpv4.MessageTypeDiscover:
				return reply(m, offer, ip.String(), options...), true
			case dhcpv4.MessageTypeRequest:
				p := reply(m, ack, ip.String(), options...)
				got, _ := dhcpv4.FromBytes(p.Payload)
				if life := got.IPAddressLeaseTime(0); life > 0 {
					w.granted[ip] = max(w.granted[ip], w.now+life)
				}
				return p, true
			}
			return Packet{}, false
		}
	})
}

func TestModel6(t *testing.T) {
	t.Parallel()
	runModel(t, func(w *world, faulty *bool) (func() Client, func(Action) (Packet, bool)) {
		cfg := newTest6().cfg
		cfg.Random = w.random
		client := func() Client {
			if w.using != nil {
				return Resume6(cfg, w.using)
			}
			return New6(cfg)
		}
		addr := byte(10)
		return client, func(a Action) (Packet, bool) {
			m, err := dhcpv6.MessageFromBytes(a.Payload)
			if err != nil {
				w.Fatal(err)
			}
			if m.MessageType == dhcpv6.MessageTypeDecline || m.MessageType == dhcpv6.MessageTypeRelease {
				return w.takeBack(m, *faulty)
			}
			if *faulty && w.random.IntN(20) == 0 {
				addr++
			}
			ip := netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 15: addr})
			life := specs.Seconds(20 + w.random.IntN(400))
			status := iana.StatusSuccess
			switch n := w.random.IntN(10); {
			case *faulty && n < 4:
				return Packet{}, false
			case *faulty && n == 4:
				life = 0
			case *faulty && n == 5:
				status = iana.StatusNoBinding
			}
			answer := dhcpv6.MessageTypeReply
			switch m.MessageType {
			case dhcpv6.MessageTypeSolicit:
				answer = dhcpv6.MessageTypeAdvertise
			case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
				if life > 0 && status == iana.StatusSuccess {
					w.granted[ip] = max(w.granted[ip], w.now+life.Duration())
				}
			case dhcpv6.MessageTypeConfirm:
				if *faulty && status == iana.StatusNoBinding {
					status = iana.StatusNotOnLink
				}
				return reply6(m, answer, netip.Addr{}, 0, status), true
			default:
				return Packet{}, false
			}
			return reply6(m, answer, ip, life, status), true
		}
	})
}

// takeBack is the server's answer to a Decline or a Release. It fails if the client repeats a
// message more often than once, or one that was answered.
func (w *world) takeBack(m *dhcpv6.Message, faulty bool) (Packet, bool) {
	if w.returned[m.TransactionID]++; w.returned[m.TransactionID] > 2 {
		w.Fatalf("at %s: %s for the third time, or after its Reply", w.now, m.MessageType)
	}
	if faulty && w.random.IntN(2) == 0 {
		return Packet{}, false
	}
	w.returned[m.TransactionID] = 2
	status := iana.StatusSuccess
	if faulty && w.random.IntN(2) == 0 {
		status = iana.StatusNoBinding
	}
	return reply6(m, dhcpv6.MessageTypeReply, netip.Addr{}, 0, status), true
}

// ofServer6 is the server's DUID in the tests.
var ofServer6 = &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0xfe}}
