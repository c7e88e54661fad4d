package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

// listenChanges listens in a namespace and returns the channel of the changes.
func listenChanges(t *testing.T, ns *testnet.NS) <-chan Change {
	t.Helper()
	return listenBy(t, ns, ListenChanges)
}

func listenBy(t *testing.T, ns *testnet.NS, listen func() (*Changes, error)) <-chan Change {
	t.Helper()
	var c *Changes
	var err error
	testnet.In(t, ns, func() { c, err = listen() })
	if err != nil {
		t.Fatal(err)
	}
	if !c.All() {
		t.Fatal("root is not told of other namespaces")
	}
	came, ended := make(chan Change, 1000), make(chan error, 1)
	go func() {
		for {
			some, err := c.Next()
			if err != nil {
				ended <- err
				return
			}
			for _, one := range some {
				came <- one
			}
		}
	}()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Next after Close: %v", err)
		}
	})
	return came
}

// awaitChange reads changes until one equals want.
func awaitChange(t *testing.T, came <-chan Change, want Change) {
	t.Helper()
	testnet.Eventually(t, "the change", func() bool {
		for {
			select {
			case one := <-came:
				if one == want {
					return true
				}
			default:
				return false
			}
		}
	})
}

func TestChangesOfAllNamespacesAreHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, err := s.h.AssignNSID(s.n)
	if err != nil {
		t.Fatal(err)
	}
	came := listenChanges(t, s.host)
	made := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	awaitChange(t, came, Change{NSID: id, Index: made.Index})
	testnet.Address(t, s.container, "net1", "192.0.2.7/24")
	awaitChange(t, came, Change{NSID: id, Index: made.Index, Address: true})
	testnet.Address(t, s.container, "net1", "2001:db8::7/64")
	awaitChange(t, came, Change{NSID: id, Index: made.Index, Address: true})
	testnet.Run(t, s.container, "ip", "link", "set", "net1", "type", "macvlan", "mode", "private")
	awaitChange(t, came, Change{NSID: id, Index: made.Index})
	testnet.Address(t, s.host, "eth1", "192.0.2.8/24")
	awaitChange(t, came, Change{NSID: -1, Index: s.parent.Index, Address: true})
}

// TestChangesOfFiltersAreHeard requires the notifications of a qdisc and of a filter, on the host and in a
// container, and none of them for a listener that asks for links and addresses alone.
func TestChangesOfFiltersAreHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, err := s.h.AssignNSID(s.n)
	if err != nil {
		t.Fatal(err)
	}
	made := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	came, others := listenBy(t, s.host, ListenWithFilters), listenChanges(t, s.host)
	const egress, clsact = 0xfffffff3, 0xfffffff1 // include/uapi/linux/pkt_sched.h
	for _, c := range []struct {
		ns          *testnet.NS
		name        string
		nsid, index int
	}{{s.host, "eth1", -1, s.parent.Index}, {s.container, "net1", id, made.Index}} {
		for _, step := range []struct {
			args []string
			want FilterChange
		}{
			{[]string{"qdisc", "add", "dev", c.name, "clsact"},
				FilterChange{Qdisc: true, Parent: clsact, Handle: 0xffff0000, Kind: "clsact"}},
			{[]string{"filter", "add", "dev", c.name, "egress", "prio", "3", "handle", "7", "bpf", "bytecode", "1,6 0 0 0"},
				FilterChange{Parent: egress, Handle: 7, Priority: 3, Kind: "bpf"}},
			{[]string{"filter", "del", "dev", c.name, "egress", "prio", "3", "handle", "7", "bpf"},
				FilterChange{Deleted: true, Parent: egress, Handle: 7, Priority: 3, Kind: "bpf"}},
			{[]string{"filter", "add", "dev", c.name, "egress", "prio", "2", "chain", "4", "protocol", "ip", "u32", "match", "u32", "0", "0"},
				FilterChange{Parent: egress, Handle: 0x80000800, Priority: 2, Chain: 4, Kind: "u32"}},
			{[]string{"filter", "del", "dev", c.name, "egress", "chain", "4"},
				FilterChange{Deleted: true, Parent: egress, Priority: 2, Chain: 4, Kind: "u32"}},
			{[]string{"qdisc", "del", "dev", c.name, "clsact"},
				FilterChange{Deleted: true, Qdisc: true, Parent: clsact, Handle: 0xffff0000, Kind: "clsact"}},
		} {
			testnet.Run(t, c.ns, "tc", step.args...)
			awaitChange(t, came, Change{NSID: c.nsid, Index: c.index, Filters: true, Filter: step.want})
		}
	}
	testnet.Run(t, s.host, "ip", "link", "add", "br0", "type", "bridge")
	index := testnet.Link(t, s.host, "br0").Attrs().Index
	for one := range others {
		if one.Filters {
			t.Errorf("change %+v of filters, for a listener to links", one)
		}
		if one.Index == index {
			return
		}
	}
}

func TestEndOfANamespaceIsHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	came := listenChanges(t, s.host)
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, _, err := s.h.AssignNSIDOfProcess(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if err != nil {
		t.Fatal(err)
	}
	awaitChange(t, came, Change{NSID: id})
	awaitChange(t, came, Change{NSID: id, Ended: true})
}

// TestChangeAfterAnOverflowIsHeard makes a change as soon as Next has reported an overflow. The
// kernel drops every notification from the overflow until the socket is empty.
func TestChangeAfterAnOverflowIsHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var c *Changes
	var err error
	testnet.In(t, s.host, func() { c, err = ListenChanges() })
	if err != nil {
		t.Fatal(err)
	}
	overflow(t, s, c)
	some, err := c.Next()
	if err != nil || len(some) != 1 || !some[0].Lost {
		t.Fatalf("changes %+v, %v; want an overflow", some, err)
	}
	testnet.Run(t, s.host, "ip", "link", "add", "br0", "index", "4711", "type", "bridge")
	close := time.AfterFunc(time.Minute, func() { _ = c.Close() })
	for !slices.ContainsFunc(some, func(one Change) bool { return one.Index == 4711 }) {
		if some, err = c.Next(); err != nil {
			t.Fatalf("the change after the overflow is not heard within a minute: %v", err)
		}
	}
	if close.Stop() {
		_ = c.Close()
	}
}

// overflow makes more changes than a socket of changes can hold.
func overflow(t *testing.T, s *site, c *Changes) {
	t.Helper()
	raw, err := c.file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10); err != nil {
				t.Error(err)
			}
		})
	}
	var batch strings.Builder
	for i := range 200 {
		fmt.Fprintf(&batch, "link set dev eth1 alias changed%d\n", i)
	}
	path := filepath.Join(t.TempDir(), "batch")
	if err := errors.Join(err, os.WriteFile(path, []byte(batch.String()), 0o600)); err != nil {
		t.Fatal(err)
	}
	testnet.Run(t, s.host, "ip", "-batch", path)
}

func TestChangesOfNamespacesWithoutAnIDAreNotHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	came := listenChanges(t, s.host)
	testnet.Run(t, s.container, "ip", "link", "add", "br0", "index", "4711", "type", "bridge")
	testnet.Run(t, s.host, "ip", "link", "add", "br1", "type", "bridge")
	index := testnet.Link(t, s.host, "br1").Attrs().Index
	for one := range came {
		if one.Index == 4711 {
			t.Errorf("change %+v of a namespace without an id", one)
		}
		if one.Index == index {
			return
		}
	}
}

func TestAddressesAreListedWithoutEnteringANamespace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, err := s.h.AssignNSID(s.n)
	if err != nil {
		t.Fatal(err)
	}
	made := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	testnet.Address(t, s.container, "net1", "192.0.2.7/24")
	var strict *Handle
	testnet.In(t, s.host, func() { strict, err = NewStrictHandle() })
	if err != nil {
		t.Fatal(err)
	}
	defer strict.Close()
	link, err := strict.LinkAtIn(id, made.Index)
	if err != nil || link.Name != "net1" || link.MAC != mac(1) {
		t.Errorf("link %+v, %v", link, err)
	}
	all, err := strict.AddressesIn(id, made.Index)
	if err != nil || len(all) == 0 || all[0].Prefix.String() != "192.0.2.7/24" {
		t.Errorf("addresses %+v, %v", all, err)
	}
	_, err = strict.LinkAtIn(id, 9999)
	wantIs(t, err, ErrNoLink)
	_, err = strict.LinkAtIn(9999, made.Index)
	wantIs(t, err, ErrNoNamespace)
}

func TestChangesIn(t *testing.T) {
	message := func(kind byte, payload ...byte) []byte {
		size := byte(unix.SizeofNlMsghdr + len(payload))
		return append([]byte{size, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, payload...)
	}
	b := append(message(unix.RTM_NEWADDR, 2, 24, 0, 0, 7, 0, 0, 0), message(unix.RTM_NEWROUTE, 0, 0, 0, 0, 9, 0, 0, 0)...)
	b = append(b, message(unix.RTM_DELLINK, 1)...)
	got := changesIn(b, 3)
	if len(got) != 1 || got[0] != (Change{NSID: 3, Index: 7, Address: true}) {
		t.Errorf("changes %+v", got)
	}
}
