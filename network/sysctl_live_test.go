package network

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// withReadOnlySysctls runs fn on a thread with its own mount namespace, in which
// /proc/sys is read-only. The thread ends with it.
func withReadOnlySysctls(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		for _, m := range []struct {
			source, target string
			flags          uintptr
		}{
			{"", "/", unix.MS_REC | unix.MS_PRIVATE},
			{"/proc/sys", "/proc/sys", unix.MS_BIND},
			{"", "/proc/sys", unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY},
		} {
			if err == nil {
				err = unix.Mount(m.source, m.target, "", m.flags, "")
			}
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// In a nested container /proc/sys may be read-only, with every value already set.
func TestReadOnlySysctls(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	const path = "ipv4/conf/lo/arp_announce"
	set := sysctl{path, "0"}
	withReadOnlySysctls(t, func() {
		if err := writeSysctls(openHere, []sysctl{set}); err != nil {
			t.Errorf("a value that is right already: %v", err)
		}
		err := writeSysctls(openHere, []sysctl{{path, "1"}})
		if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), "/proc/sys is mounted read-only") {
			t.Errorf("another value: %v, want EROFS with a remedy", err)
		}
		n := &specs.Network{Parent: "eth1"}
		n.SetDefaults()
		unset, err := UnsetSysctls(n)
		if err != nil || !slices.Equal(unset, []string{"net.ipv6.conf.default.disable_ipv6=1"}) {
			t.Errorf("unset for a network without IPv6: %q, %v", unset, err)
		}
	})
	n := &specs.Network{Parent: "eth1"}
	n.SetDefaults()
	if unset, err := UnsetSysctls(n); err != nil || unset != nil {
		t.Errorf("unset with a /proc/sys that is writable: %q, %v", unset, err)
	}
}
