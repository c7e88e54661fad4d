package state

import (
	"net/netip"
	"slices"
	"testing"
)

// TestForeignAddresses replaces the addresses of other programs, and lists them in order.
func TestForeignAddresses(t *testing.T) {
	t.Parallel()
	s := Open(t.TempDir() + "/berth")
	first := []ForeignAddress{
		{Addr: netip.MustParseAddr("192.0.2.7"), Holder: "docker:home"}, {Addr: netip.MustParseAddr("192.0.2.8"), ParentIndex: 4, Holder: "eth0 of cam"},
		{Addr: netip.MustParseAddr("2001:db8::7"), ParentIndex: 300, Holder: "eth0 of cam"},
	}
	second := []ForeignAddress{{Addr: netip.MustParseAddr("192.0.2.8"), ParentIndex: 4, Holder: "eth0 of tv"}}
	for _, all := range [][]ForeignAddress{first, first, second, nil} {
		err := s.Update(t.Context(), func(tx *Tx) error { return tx.SetForeignAddresses(all) })
		if err != nil {
			t.Fatal(err)
		}
		var got []ForeignAddress
		err = s.View(t.Context(), func(tx *Tx) error {
			for f, err := range tx.ForeignAddresses(netip.IPv6Unspecified()) {
				if err != nil {
					return err
				}
				got = append(got, f)
			}
			for _, other := range [][]ForeignAddress{first, second, nil} {
				same, err := tx.HasForeignAddresses(other)
				if err != nil || same != slices.Equal(other, all) {
					t.Errorf("%v are %v: %t, %v", all, other, same, err)
				}
			}
			return nil
		})
		if err != nil || !slices.Equal(got, all) {
			t.Errorf("addresses %v, %v, want %v", got, err, all)
		}
	}
}
