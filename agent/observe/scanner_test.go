package observe

import (
	"net/netip"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"berth/network"
)

func TestUsedAddresses(t *testing.T) {
	t.Parallel()
	one := func(index int, prefix string, failed bool) network.AddressInfo {
		return network.AddressInfo{Index: index, Prefix: netip.MustParsePrefix(prefix), DADFailed: failed}
	}
	got := usedAddresses([]network.AddressInfo{
		one(2, "192.0.2.7/24", false), one(3, "192.0.2.8/24", false), one(2, "fe80::7/64", false),
		one(2, "2001:db8::7/64", true), one(2, "2001:db8::9/64", false), one(4, "169.254.0.7/16", false),
	})
	texts := make(map[int][]string)
	for index, all := range got {
		for _, p := range all {
			texts[index] = append(texts[index], p.String())
		}
	}
	want := map[int][]string{2: {"192.0.2.7/24", "2001:db8::9/64"}, 3: {"192.0.2.8/24"}}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestInterfaceIsSmall bounds the memory that the scanner keeps for each interface, of 10,000.
func TestInterfaceIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Interface{}); size > 192 {
		t.Errorf("%d bytes, want at most 192; a network.LinkInfo has %d", size, unsafe.Sizeof(network.LinkInfo{}))
	}
}
