package daemon

import (
	"net/netip"
	"slices"
	"testing"
)

func TestObservedAddresses(t *testing.T) {
	o := newObservedAddresses()
	of := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	want := func(keys []string, addresses ...string) {
		t.Helper()
		if got := o.keysWith(of(addresses...)); !slices.Equal(got, keys) {
			t.Errorf("%v: %q, want %q", addresses, got, keys)
		}
	}
	o.noteAddresses("a", of("192.0.2.1", "192.0.2.2"))
	o.noteAddresses("b", of("192.0.2.2"))
	want([]string{"a", "b"}, "192.0.2.2", "192.0.2.9")
	o.noteAddresses("a", of("192.0.2.3"))
	want([]string{"b"}, "192.0.2.1", "192.0.2.2")
	want([]string{"a"}, "192.0.2.3")
	o.noteAddresses("a", nil)
	o.noteAddresses("b", nil)
	if want(nil, "192.0.2.2", "192.0.2.3"); len(o.allKeys())+len(o.byKey)+len(o.keys) != 0 {
		t.Errorf("%v and %v are left", o.byKey, o.keys)
	}
}
