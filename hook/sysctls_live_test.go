package hook

import (
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestSysctls requires that the settings of a network apply to its interface and to no other one.
func TestSysctls(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", `parent = "PARENT"
ipv6 = "slaac"
conflict_timeout = "0"
[sysctls]
"net.ipv4.conf.IFNAME.rp_filter" = 2
"net.ipv4.neigh.IFNAME.gc_stale_time" = 600
"net.ipv6.conf.IFNAME.accept_ra_rt_info_max_plen" = 64
[[subnet]]
subnet = "192.0.2.0/24"
`)
	read := func(b *box, path string) string {
		return strings.TrimSpace(testnet.Run(t, b.ns, "cat", "/proc/sys/net/"+path))
	}
	b := h.box("a", "lan@lan.0") // the dot in the name is not that of a setting
	others := []string{"ipv4/conf/default/rp_filter", "ipv4/conf/lo/rp_filter", "ipv6/conf/default/accept_ra_rt_info_max_plen"}
	var before []string
	for _, path := range others {
		before = append(before, read(b, path))
	}
	h.mustStart(b)
	for path, want := range map[string]string{
		"ipv4/conf/lan.0/rp_filter": "2", "ipv4/neigh/lan.0/gc_stale_time": "600", "ipv6/conf/lan.0/accept_ra_rt_info_max_plen": "64",
	} {
		if got := read(b, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for i, path := range others {
		if got := read(b, path); got != before[i] {
			t.Errorf("%s is %s, was %s", path, got, before[i])
		}
	}
	h.mustStop(b)
}
