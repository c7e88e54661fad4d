package lease_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

var errDone = errors.New("done")

func newStore(t testing.TB) *state.Store {
	t.Helper()
	return state.Open(filepath.Join(t.TempDir(), "berth"))
}

// inScratch runs fn in a transaction of a new store.
func inScratch(t testing.TB, fn func(tx *state.Tx)) {
	t.Helper()
	rolledBack(t, newStore(t), fn)
}

// rolledBack runs fn in a transaction that is rolled back.
func rolledBack(t testing.TB, s *state.Store, fn func(tx *state.Tx)) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		fn(tx)
		return errDone
	})
	if !errors.Is(err, errDone) {
		t.Fatal(err)
	}
}

func inDomain(t testing.TB, fn func(l *lease.Leases)) {
	t.Helper()
	inScratch(t, func(tx *state.Tx) { fn(lease.In(tx, "4.0")) })
}

func testOwner(i int) lease.Owner {
	return lease.Owner{Key: state.Key(uint64(i), "net1"), Container: "c" + string(rune('a'+i%26)), Network: "lan"}
}

func isExhausted(err error) bool { return errors.As(err, new(*lease.ExhaustedError)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExhaustedSaysWhoHoldsIt(t *testing.T) {
	t.Parallel()
	inDomain(t, func(l *lease.Leases) {
		p := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix("192.0.2.64/29")}, nil)
		wide := ipam.NewPool("other", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}, nil)
		other := testOwner(0)
		other.Container, other.Network = strings.Repeat("0123456789abcdef", 4), "other"
		must(t, l.Claim(wide, netip.MustParseAddr("192.0.2.65"), other))
		must(t, l.Claim(wide, netip.MustParseAddr("192.0.2.3"), other)) // not in the range: not among the holders
		for i := 1; i < 8; i++ {
			if _, err := l.Take(p, testOwner(i)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := l.Take(p, testOwner(9))
		want := `network "lan": all 8 addresses of 192.0.2.64/29 are held, by cb (192.0.2.64), ` +
			`0123456789ab (192.0.2.65, network "other"), cc (192.0.2.66), cd (192.0.2.67), ce (192.0.2.68) and 3 more`
		if got := errorText(err); got != want {
			t.Errorf("error\n%s\nwant\n%s", got, want)
		}
	})
}

func TestExhaustedWithNothingToGive(t *testing.T) {
	t.Parallel()
	inDomain(t, func(l *lease.Leases) {
		none := ipam.NewPool("", specs.Subnet{
			Subnet: netip.MustParsePrefix("192.0.2.0/31"), Gateway: netip.MustParseAddr("192.0.2.0"),
			Exclude: []specs.Exclusion{specs.ExcludeAddr(netip.MustParseAddr("192.0.2.1"))},
		}, nil)
		_, err := l.Take(none, testOwner(1))
		want := "a network defined in place: 192.0.2.0/31 has no address to give out: all are reserved or excluded"
		if got := errorText(err); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
		one := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.1/32")}, nil)
		_, err = l.Take(one, testOwner(1))
		must(t, err)
		_, err = l.Take(one, testOwner(2))
		want = `network "lan": the only address of 192.0.2.1/32 is held, by cb (192.0.2.1)`
		if got := errorText(err); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	})
}

func TestClaim(t *testing.T) {
	t.Parallel()
	inDomain(t, func(l *lease.Leases) {
		p := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}, nil)
		a := netip.MustParseAddr("192.0.2.7")
		must(t, l.Claim(p, a, testOwner(1)))
		must(t, l.Claim(p, a, testOwner(1))) // a repeated claim succeeds
		want := `address 192.0.2.7 is in use by container cb (network "lan", interface net1)`
		if err := l.Claim(p, a, testOwner(2)); errorText(err) != want {
			t.Errorf("claimed by another: %v, want %s", err, want)
		}
		if err := l.Claim(p, netip.MustParseAddr("192.0.2.0"), testOwner(2)); !errors.As(err, new(*specs.ValueError)) {
			t.Errorf("reserved: %v, want a ValueError", err)
		}
		must(t, l.ReleaseAddr(a, testOwner(2).Key)) // another owner's address stays
		if h, err := l.Holder(a); err != nil || h == nil || h.Owner != testOwner(1).Key || h.Since.IsZero() {
			t.Errorf("holder %+v, %v; want owner 1", h, err)
		}
		must(t, l.ReleaseAddr(a, testOwner(1).Key))
		must(t, l.Claim(p, a, testOwner(2)))
	})
}

func TestReleaseFreesAllOfOneAttachmentAndNoOther(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		l, elsewhere := lease.In(tx, "4.0"), lease.In(tx, "4.100")
		p := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/28")}, nil)
		mac := specs.MAC{2, 0, 0, 0, 0, 1}
		for i := range 3 {
			for range 2 {
				_, err := l.Take(p, testOwner(i))
				must(t, err)
			}
		}
		must(t, l.ClaimMAC(mac, testOwner(1)))
		_, err := elsewhere.Take(p, testOwner(1))
		must(t, err)
		must(t, elsewhere.ClaimMAC(mac, testOwner(2))) // another domain: the same MAC is free
		must(t, l.Release(testOwner(1).Key))
		must(t, l.Release(testOwner(1).Key))
		must(t, l.ClaimMAC(mac, testOwner(0)))
		var left []string
		for lease, err := range lease.All(tx) {
			must(t, err)
			left = append(left, lease.Domain+" "+lease.Addr.String()+" "+lease.Container)
		}
		want := "4.0 192.0.2.1 ca,4.0 192.0.2.2 ca,4.0 192.0.2.5 cc,4.0 192.0.2.6 cc,4.100 192.0.2.1 cb"
		if got := strings.Join(left, ","); got != want {
			t.Errorf("left %s\nwant %s", got, want)
		}
		a, err := l.Take(p, testOwner(3))
		if err != nil || a != netip.MustParseAddr("192.0.2.3") {
			t.Errorf("next %v, %v; want 192.0.2.3, the lowest that was freed", a, err)
		}
	})
}

func TestMACs(t *testing.T) {
	t.Parallel()
	inDomain(t, func(l *lease.Leases) {
		seen := map[specs.MAC]bool{}
		for i := range 200 {
			m, err := l.TakeMAC(testOwner(i))
			must(t, err)
			if seen[m] || m.IsMulticast() || m[0]&0x02 == 0 {
				t.Fatalf("MAC %s: want a new one, unicast and locally administered", m)
			}
			seen[m] = true
			must(t, l.ClaimMAC(m, testOwner(i)))
			want := "MAC " + m.String() + " is in use by container " + testOwner(i).Container + ` (network "lan", interface net1)`
			if err := l.ClaimMAC(m, testOwner(i+1)); errorText(err) != want {
				t.Fatalf("claimed by another: %v, want %s", err, want)
			}
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
