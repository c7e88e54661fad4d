package lease_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// model is a slow and simple implementation of Leases and Pool.
type model map[netip.Addr]int // holder's number

type modelPool struct {
	specs.Subnet
	never []netip.Addr
}

// usable applies docker's rule to one address.
func (p modelPool) usable(a netip.Addr) bool {
	if !p.Subnet.Subnet.Contains(a) || a == p.Gateway {
		return false
	}
	if slices.Contains(p.never, a) || slices.ContainsFunc(p.Exclude, func(e specs.Exclusion) bool { return e.Contains(a) }) {
		return false
	}
	if p.Subnet.Subnet.Addr().BitLen()-p.Subnet.Subnet.Bits() <= 1 {
		return true
	}
	first := !p.Subnet.Subnet.Contains(a.Prev())
	last := !p.Subnet.Subnet.Contains(a.Next())
	return !first && !(last && a.Is4())
}

func (p modelPool) given() netip.Prefix {
	if p.IPRange.IsValid() {
		return p.IPRange
	}
	return p.Subnet.Subnet
}

func (m model) take(p modelPool, who int) netip.Addr {
	for a := p.given().Addr(); p.given().Contains(a); a = a.Next() {
		if _, held := m[a]; !held && p.usable(a) {
			m[a] = who
			return a
		}
	}
	return netip.Addr{}
}

func (m model) claim(p modelPool, a netip.Addr, who int) bool {
	holder, held := m[a]
	if !p.usable(a) || held && holder != who {
		return false
	}
	m[a] = who
	return true
}

func (m model) release(who int) {
	for a, holder := range m {
		if holder == who {
			delete(m, a)
		}
	}
}

// source turns bytes into choices; after the last byte all are 0.
type source []byte

func (s *source) below(n int) int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b) % n
}

// pool chooses a subnet of at most 64 addresses around one base, so that pools
// overlap.
func (s *source) pool() modelPool {
	base, bits := netip.MustParseAddr("192.0.2.64"), 26
	if s.below(2) == 1 {
		base, bits = netip.MustParseAddr("2001:db8::40"), 122
	}
	var p modelPool
	subnet := bits + s.below(7)
	pick := func() netip.Addr {
		a := p.Subnet.Subnet.Addr()
		for range s.below(64) {
			if p.Subnet.Subnet.Contains(a.Next()) {
				a = a.Next()
			}
		}
		return a
	}
	p.Subnet.Subnet = netip.PrefixFrom(base, subnet).Masked()
	if s.below(2) == 1 {
		p.IPRange = netip.PrefixFrom(pick(), subnet+s.below(bits+7-subnet)).Masked()
	}
	if s.below(2) == 1 {
		p.Gateway = pick()
	}
	for range s.below(4) {
		a := pick()
		bits := a.BitLen() - s.below(3)
		p.Exclude = append(p.Exclude, specs.Exclusion{Prefix: netip.PrefixFrom(a, bits).Masked()})
	}
	for range s.below(3) {
		p.never = append(p.never, pick())
	}
	return p
}

// checkModel applies the same operations to the leases and to the model.
func checkModel(t testing.TB, s *state.Store, choices source) {
	t.Helper()
	rolledBack(t, s, func(tx *state.Tx) {
		leases, m := lease.In(tx, "4.0"), model{}
		plain := []modelPool{choices.pool(), choices.pool()}
		var pools []*ipam.Pool
		for _, p := range plain {
			pools = append(pools, ipam.NewPool("lan", p.Subnet, p.never))
		}
		for len(choices) > 0 {
			which, who := choices.below(2), choices.below(20)
			p, q := pools[which], plain[which]
			switch choices.below(5) {
			case 0, 1:
				want := m.take(q, who)
				got, err := leases.Take(p, testOwner(who))
				if got != want || want.IsValid() != (err == nil) || err != nil && !isExhausted(err) {
					t.Fatalf("take from %+v: %v, %v; want %v", q, got, err, want)
				}
			case 2:
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(64 + choices.below(64))})
				if got, want := leases.Claim(p, a, testOwner(who)), m.claim(q, a, who); (got == nil) != want {
					t.Fatalf("claim %s of %+v: %v, want %v", a, q, got, want)
				}
			case 3:
				m.release(who)
				must(t, leases.Release(testOwner(who).Key))
			case 4:
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(64 + choices.below(64))})
				if m[a] == who {
					delete(m, a)
				}
				must(t, leases.ReleaseAddr(a, testOwner(who).Key))
			}
		}
		checkSame(t, tx, m, plain, pools)
	})
}

// checkSame compares all leases and the sizes of the pools with the model.
func checkSame(t testing.TB, tx *state.Tx, m model, plain []modelPool, pools []*ipam.Pool) {
	t.Helper()
	n := 0
	for lease, err := range lease.All(tx) {
		must(t, err)
		n++
		if who, held := m[lease.Addr]; !held || testOwner(who).Key != lease.Owner {
			t.Fatalf("%s is held by %s, in the model by %d (%v)", lease.Addr, lease.Owner, who, held)
		}
	}
	if n != len(m) {
		t.Fatalf("%d leases, want %d", n, len(m))
	}
	for i, p := range plain {
		var size uint64
		for a := p.given().Addr(); p.given().Contains(a); a = a.Next() {
			if p.usable(a) {
				size++
			}
		}
		if pools[i].Size() != size {
			t.Fatalf("size of %+v: %d, want %d", p, pools[i].Size(), size)
		}
		_, err := lease.In(tx, "4.0").Take(pools[i], testOwner(99))
		if full := new(lease.ExhaustedError); errors.As(err, &full) && full.Held != size {
			t.Fatalf("exhausted %+v: held %d of %d", p, full.Held, size)
		}
	}
}

func TestAgainstTheModel(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 3))
		choices := make(source, 800)
		for i := range choices {
			choices[i] = byte(random.Uint32())
		}
		checkModel(t, s, choices)
	}
}

func FuzzLeases(f *testing.F) {
	f.Add([]byte{0, 5, 0, 1, 2, 3, 4, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0})
	f.Add([]byte("1x9-2001:db8::/126, then take, claim, release"))
	s := newStore(f)
	f.Fuzz(func(t *testing.T, choices []byte) { checkModel(t, s, choices[:min(len(choices), 600)]) })
}
