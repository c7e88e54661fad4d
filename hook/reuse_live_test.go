package hook

import (
	"strings"
	"testing"
)

// TestReleasedAddressIsReusedLast requires that containers of a pool with reuse = "oldest" get the
// addresses in the order of their release, after those that no container had.
func TestReleasedAddressIsReusedLast(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", "parent = 'PARENT'\nreuse = 'oldest'\n[[subnet]]\nsubnet = '192.0.2.0/24'\nip_range = '192.0.2.64/30'\n")
	var got []string
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c := h.box(name, "lan")
		h.mustStart(c)
		got = append(got, h.firstOf(name).Addresses[0].Addr().String())
		h.mustStop(c)
	}
	const want = "192.0.2.64 192.0.2.65 192.0.2.66 192.0.2.67 192.0.2.64 192.0.2.65"
	if strings.Join(got, " ") != want {
		t.Errorf("addresses: %v\nwant %s", got, want)
	}
}
