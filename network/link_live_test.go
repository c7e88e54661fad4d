package network

import (
	"fmt"
	"slices"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func TestCreateMacvlanInEveryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range specs.Modes(specs.Macvlan) {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			l := s.macvlan("net1", mac(1))
			l.Mode, l.MTU, l.BCQueueLen, l.Alias = mode, 1400, 2000, "berth:0123456789abcdef/net1"
			l.NoPromisc = mode == specs.ModePassthru
			if mode == specs.ModeSource {
				l.SourceMACs = []specs.MAC{mac(0x11), mac(0x12)}
			}
			made, err := s.h.CreateLink(s.n, l)
			if err != nil {
				t.Fatal(err)
			}
			got, err := newInsideHandle(t, s.n).LinkByName("net1")
			if err != nil {
				t.Fatal(err)
			}
			want := LinkInfo{
				Index: made.Index, Name: "net1", Alias: l.Alias, Kind: "macvlan", Ethernet: true,
				MAC: l.MAC, MTU: 1400, ParentIndex: s.parent.Index, Driver: specs.Macvlan, Mode: mode,
				BCQueueLen: 2000, NoPromisc: l.NoPromisc, SourceMACs: l.SourceMACs,
			}
			ignore := cmpopts.IgnoreFields(LinkInfo{}, "ParentNSID", "Stats")
			if diff := cmp.Diff(want, got, ignore); diff != "" {
				t.Errorf("the link (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, made, cmpopts.IgnoreFields(LinkInfo{}, "Stats")); diff != "" {
				t.Errorf("what CreateLink returned (-kernel +returned):\n%s", diff)
			}
			if got.ParentNSID < 0 {
				t.Error("the parent seems to be in the container")
			}
		})
	}
}

func TestPassthruTakesTheParentsMACOrChangesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := s.macvlan("net1", specs.MAC{})
	l.Mode = specs.ModePassthru
	made := s.createUp(t, s.n, l)
	if made.MAC != s.parent.MAC {
		t.Errorf("MAC %s, want the parent's %s", made.MAC, s.parent.MAC)
	}
	if err := newInsideHandle(t, s.n).DeleteLink(made.Index); err != nil {
		t.Fatal(err)
	}
	l.MAC = mac(7)
	made = s.createUp(t, s.n, l)
	if p, err := s.h.Parent("eth1"); err != nil || p.MAC != mac(7) || made.MAC != mac(7) {
		t.Errorf("parent %+v, %v; link %s; want %s for both", p, err, made.MAC, mac(7))
	}
	if err := newInsideHandle(t, s.n).DeleteLink(made.Index); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the parent has its own MAC again", func() bool {
		p, err := s.h.Parent("eth1")
		return err == nil && p.MAC == s.parent.MAC
	})
}

// The host's namespace must not change at any moment while a link is made: no
// notification names another link.
func TestNothingAppearsOnTheHost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	updates, done := make(chan netlink.LinkUpdate, 100), make(chan struct{})
	defer close(done)
	if err := netlink.LinkSubscribeAt(netns.NsHandle(s.host.FD()), updates, done); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s.createUp(t, s.n, s.macvlan(fmt.Sprintf("net%d", i), mac(byte(i+1))))
	}
	last := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "last"}}
	if err := testnet.Netlink(t, s.host).LinkAdd(last); err != nil {
		t.Fatal(err)
	}
	for u := range updates {
		switch name := u.Attrs().Name; name {
		case "eth1", "lo":
		case "last":
			return
		default:
			t.Errorf("%s appeared on the host", name)
		}
	}
}

func TestLinkNameInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	_, err := s.h.CreateLink(s.n, s.macvlan("net1", mac(2)))
	wantIs(t, err, ErrNameTaken)
	if _, err := newInsideHandle(t, s.n).LinkByIndex(first.Index); err != nil {
		t.Error(err)
	}
	wantLinks(t, newInsideHandle(t, s.n), "lo", "net1")
}

// An interface of the host may have the name that the container's is to get.
func TestNameOfAHostInterface(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info, err := s.h.CreateLink(s.n, s.macvlan("eth1", mac(1)))
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != "eth1" || info.MAC != mac(1) {
		t.Errorf("made %+v", info)
	}
	wantLinks(t, newInsideHandle(t, s.n), "eth1", "lo")
}

// The path for kernels before 6.15 is tested on every kernel.
func TestCreateAside(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := s.macvlan("net1", mac(1))
	l.Alias = "berth:aside"
	info, err := s.h.createAside(s.n, newInsideHandle(t, s.n), l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := newInsideHandle(t, s.n).LinkByIndex(info.Index)
	if err != nil || got.Name != "net1" || info.Name != "net1" || got.Alias != l.Alias {
		t.Errorf("made %+v, %v", got, err)
	}
	_, err = s.h.createAside(s.n, newInsideHandle(t, s.n), l)
	wantIs(t, err, ErrNameTaken)
	wantLinks(t, newInsideHandle(t, s.n), "lo", "net1")
}

// A link whose properties cannot be set is deleted again.
func TestFailureLeavesNoLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := s.macvlan("net1", mac(1))
	l.Alias = string(make([]byte, 300)) // IFALIASZ is 256 (include/uapi/linux/if.h)
	_, err := s.h.CreateLink(s.n, l)
	wantErrno(t, err, unix.ERANGE)
	wantLinks(t, newInsideHandle(t, s.n), "lo")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lo, err := s.h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	testnet.Run(t, s.host, "ip", "tuntap", "add", "tun0", "mode", "tun")
	tun, err := s.h.LinkByName("tun0")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Link)
		is     error
		errno  unix.Errno
	}{
		"MTU above the parent's": {func(l *Link) { l.MTU = s.parent.MTU + 1 }, ErrMTU, 0},
		"loopback":               {func(l *Link) { l.ParentIndex = lo.Index }, ErrNotEthernet, 0},
		"no Ethernet header":     {func(l *Link) { l.ParentIndex = tun.Index }, ErrNotEthernet, 0},
		"no parent":              {func(l *Link) { l.ParentIndex = 9999 }, ErrNoLink, 0},
		"multicast MAC":          {func(l *Link) { l.MAC = specs.MAC{1} }, nil, unix.EADDRNOTAVAIL},
		"name of 16 bytes":       {func(l *Link) { l.Name = "sixteen-bytes-16" }, nil, unix.ERANGE},
		"name with a slash":      {func(l *Link) { l.Name = "a/b" }, nil, unix.EINVAL},
		"mode of another driver": {func(l *Link) { l.Mode = specs.ModeL3 }, nil, 0},
	} {
		l := s.macvlan("net1", mac(1))
		c.change(&l)
		_, err := s.h.CreateLink(s.n, l)
		if err == nil {
			t.Errorf("%s: made", name)
		}
		if c.is != nil {
			wantIs(t, err, c.is)
		}
		if c.errno != 0 {
			wantErrno(t, err, c.errno)
		}
	}
	wantLinks(t, newInsideHandle(t, s.n), "lo")
}

// On a parent that is down a macvlan still goes up, without a carrier: the caller
// has to check Parent.Up.
func TestParentIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := testnet.Netlink(t, s.host).LinkSetDown(testnet.Link(t, s.host, "eth1")); err != nil {
		t.Fatal(err)
	}
	s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	if got := byNameIn(t, s.n, "net1"); !got.Up || got.Carrier {
		t.Errorf("up %v, carrier %v; want up without carrier", got.Up, got.Carrier)
	}
}

func TestDeleteLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	h := newInsideHandle(t, s.n)
	if err := h.DeleteLink(info.Index); err != nil {
		t.Error(err)
	}
	wantIs(t, h.DeleteLink(info.Index), ErrNoLink)
	wantIs(t, h.SetUp(info.Index), ErrNoLink)
	_, err := h.LinkByName("net1")
	wantIs(t, err, ErrNoLink)
	_, err = h.LinkByIndex(info.Index)
	wantIs(t, err, ErrNoLink)
}

func TestStatsAreTheNamespacesView(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	testnet.Address(t, s.container, "net1", "192.0.2.10/24")
	testnet.Address(t, s.lan, "port", "192.0.2.1/24")
	testnet.Run(t, s.container, "ping", "-c2", "-i0.01", "-W5", "192.0.2.1")
	l, err := newInsideHandle(t, s.n).LinkByName("net1")
	if err != nil || l.Stats.TransmitPackets < 3 || l.Stats.ReceivePackets < 3 || l.Stats.TransmitBytes < 3*42 || l.Stats.ReceiveBytes < 3*28 {
		t.Errorf("stats %+v, %v", l.Stats, err)
	}
	if !l.Up || !l.Carrier {
		t.Errorf("up %v, carrier %v", l.Up, l.Carrier)
	}
}

func wantLinks(t testing.TB, h *Handle, want ...string) {
	t.Helper()
	all, err := h.Links()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range all {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("links %q, want %q", names, want)
	}
}
