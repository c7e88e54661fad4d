package testnet

import (
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Feature is a capability that the machine may lack.
type Feature string

// The features that tests need.
const (
	Root    Feature = "root"    // user id 0 with CAP_NET_ADMIN and CAP_SYS_ADMIN
	Macvlan Feature = "macvlan" // CONFIG_MACVLAN
	Macvtap Feature = "macvtap" // CONFIG_MACVTAP
	IPvlan  Feature = "ipvlan"  // CONFIG_IPVLAN
	VLAN    Feature = "vlan"    // CONFIG_VLAN_8021Q
	Dummy   Feature = "dummy"   // CONFIG_DUMMY
	Bond    Feature = "bond"    // CONFIG_BONDING
	Clock   Feature = "clock"   // the clock may be set, because the machine is for tests only
	Tunnels Feature = "tunnels" // CONFIG_NET_IPGRE, CONFIG_NET_IPIP, CONFIG_GENEVE, CONFIG_NET_FOU
	Types   Feature = "types"   // CONFIG_DEBUG_INFO_BTF
	NoTicks Feature = "noticks" // nohz_full= on the kernel's command line
)

// Throwaway in the environment marks a machine that is for tests only.
const Throwaway = "BERTH_TEST_THROWAWAY"

// Require is the environment variable with a comma-separated list of required
// features: a test that needs one of them fails instead of being skipped.
const Require = "BERTH_TEST_REQUIRE"

var probes = map[Feature]func() bool{
	Root:    sync.OnceValue(func() bool { return inThrowaway(func() error { return nil }) }),
	Macvlan: sync.OnceValue(func() bool { return canStackOnVeth(&netlink.Macvlan{}) }),
	Macvtap: sync.OnceValue(func() bool { return canStackOnVeth(&netlink.Macvtap{}) }),
	IPvlan:  sync.OnceValue(func() bool { return canStackOnVeth(&netlink.IPVlan{}) }),
	VLAN: sync.OnceValue(func() bool {
		return canStackOnVeth(&netlink.Vlan{VlanId: 1, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q})
	}),
	Clock: func() bool { return os.Getenv(Throwaway) != "" },
	Dummy: sync.OnceValue(func() bool {
		return inThrowaway(func() error {
			return netlink.LinkAdd(named(&netlink.Dummy{},
				"d"))
		})
	}),
	Bond: sync.OnceValue(func() bool {
		return inThrowaway(func() error { return netlink.LinkAdd(named(netlink.NewLinkBond(netlink.LinkAttrs{}), "b")) })
	}),
	Tunnels: sync.OnceValue(func() bool { return inThrowaway(makeTunnels) }),
	Types:   sync.OnceValue(func() bool { return unix.Access("/sys/kernel/btf/vmlinux", unix.R_OK) == nil }),
	NoTicks: sync.OnceValue(func() bool { return NoTickProcessors() != "" }),
}

// NoTickProcessors returns the list of the processors that run without ticks, or "" if there
// are none (drivers/base/cpu.c, print_cpus_nohz_full).
func NoTickProcessors() string {
	text, _ := os.ReadFile("/sys/devices/system/cpu/nohz_full") // absent without CONFIG_NO_HZ_FULL
	list := strings.TrimSpace(string(text))
	if list == "(null)" {
		return ""
	}
	return list
}

// makeTunnels makes one tunnel of each kind.
func makeTunnels() error {
	at := net.IPv4(127, 0, 0, 1)
	for i, link := range []netlink.Link{
		&netlink.Gretun{Local: at, Remote: at}, &netlink.Gretap{Local: at, Remote: at},
		&netlink.Iptun{Local: at, Remote: at}, &netlink.Geneve{ID: 1, Remote: at},
		&netlink.Ip6tnl{Local: net.IPv6loopback, Remote: net.IPv6loopback},
		&netlink.Gretun{Local: net.IPv6loopback, Remote: net.IPv6loopback},
	} {
		if err := netlink.LinkAdd(named(link, "t"+strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return netlink.FouAdd(netlink.Fou{Family: unix.AF_INET, Port: 1, Protocol: unix.IPPROTO_IPIP,
		EncapType: netlink.FOU_ENCAP_DIRECT})
}

// Need skips the test if a feature is missing, or fails it if [Require] lists the
// feature.
func Need(t testing.TB, features ...Feature) {
	t.Helper()
	required := strings.Split(os.Getenv(Require), ",")
	for _, f := range features {
		switch {
		case probes[f]():
		case slices.Contains(required, string(f)):
			t.Fatalf("missing %q, which %s asks for", f, Require)
		default:
			t.Skip(SkipReason(f))
		}
	}
}

// SkipReason returns the text with which [Need] skips a test.
func SkipReason(f Feature) string { return fmt.Sprintf("missing %q here", f) }

// Features returns all features, sorted: the value of [Require] on a machine with
// all of them.
func Features() []Feature { return slices.Sorted(maps.Keys(probes)) }

// Has reports whether the machine has a feature.
func Has(f Feature) bool { return probes[f]() }

// canStackOnVeth reports whether a link can be made on top of a veth.
func canStackOnVeth(link netlink.Link) bool {
	return inThrowaway(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		parent, err := netlink.LinkByName("a")
		if err != nil {
			return err
		}
		link.Attrs().ParentIndex = parent.Attrs().Index
		return netlink.LinkAdd(named(link, "u"))
	})
}

func named(link netlink.Link, name string) netlink.Link {
	link.Attrs().Name = name
	return link
}

// inThrowaway reports whether fn succeeds in a new network namespace. Its
// thread is never unlocked, so it ends with the goroutine, and the namespace
// with it.
func inThrowaway(fn func() error) bool {
	ok := make(chan bool)
	go func() {
		runtime.LockOSThread()
		ok <- unix.Unshare(unix.CLONE_NEWNET) == nil && fn() == nil
	}()
	return <-ok
}
