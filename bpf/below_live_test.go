package bpf

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// newBridged creates a lab whose parent is the bridge br0 with the port eth0.
func newBridged(t *testing.T) *lab {
	t.Helper()
	host, lan := newQuietNamespace(t), newQuietNamespace(t)
	testnet.Veth(t, "eth0", host, "wire", lan)
	testnet.Bridge(t, host, "br0", "eth0")
	return labOn(t, host, "br0", Options{})
}

// nothingAhead checks that the parent counts.
func (l *lab) nothingAhead(what string) {
	l.Helper()
	if at := l.parentAttachment(); at.Kind == "" || len(at.ProgramsAhead) != 0 {
		l.Errorf("%s: %+v, want nothing ahead", what, at)
	}
}

// TestPortAhead puts programs on the port of a bridge that is the parent: those at its
// ingress get frames before berth's, those at its egress after.
func TestPortAhead(t *testing.T) {
	t.Parallel()
	l := newBridged(t)
	l.nothingAhead("alone")
	port := testnet.Link(t, l.ns, "eth0")
	p := namedProgram(t, "steals", ebpf.XDP, 2) // XDP_PASS
	l.inHost(func() error { return netlink.LinkSetXdpFdWithFlags(port, p.FD(), unix.XDP_FLAGS_SKB_MODE) })
	l.aheadNames("XDP", `"steals"`, `on "eth0"`)
	l.inHost(func() error { return netlink.LinkSetXdpFdWithFlags(port, -1, unix.XDP_FLAGS_SKB_MODE) })
	l.nothingAhead("XDP taken off")

	testnet.Run(t, l.ns, "tc", "qdisc", "add", "dev", "eth0", "clsact")
	match := []string{"protocol", "ip", "u32", "match", "u32", "0", "0"}
	testnet.Run(t, l.ns, "tc", append([]string{"filter", "add", "dev", "eth0", "egress", "prio", "3"}, match...)...)
	l.nothingAhead("a filter at the port's egress")
	testnet.Run(t, l.ns, "tc", append([]string{"filter", "add", "dev", "eth0", "ingress", "prio", "3"}, match...)...)
	l.aheadNames("ingress filter", "u32", `on "eth0"`)
	testnet.Run(t, l.ns, "tc", "qdisc", "del", "dev", "eth0", "clsact")
	l.nothingAhead("filters taken off")
}

// TestPortTCXAhead is TestPortAhead for tcx.
func TestPortTCXAhead(t *testing.T) {
	t.Parallel()
	needTCX(t)
	l := newBridged(t)
	p := namedProgram(t, "theirs", ebpf.SchedCLS, -1)
	for _, w := range ways {
		var theirs link.Link
		l.inHost(func() (err error) {
			theirs, err = link.AttachTCX(link.TCXOptions{Interface: testnet.Link(t, l.ns, "eth0").Attrs().Index, Program: p, Attach: ebpf.AttachType(w.tcxAttachType())})
			return err
		})
		if w == ingress {
			l.aheadNames("tcx ingress", `"theirs"`, `on "eth0"`)
		} else {
			l.nothingAhead("at the port's egress")
		}
		must(t, theirs.Close())
		testnet.Eventually(t, "nothing ahead", func() bool { return len(l.parentAttachment().ProgramsAhead) == 0 })
	}
}

// TestTrunkAhead puts programs on the trunk of a VLAN: berth's own are not ahead, and
// another's are.
func TestTrunkAhead(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind}) // berth's are on the trunk too
		testnet.Run(t, l.ns, "ip", "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id", "7")
		testnet.Up(t, l.ns, "eth0.7")
		sub := testnet.Link(t, l.ns, "eth0.7").Attrs()
		trunk := l.parent
		l.parent, l.hostMAC = sub.Index, specs.MAC(sub.HardwareAddr)
		l.attachDatapath()
		l.nothingAhead("berth's on both")
		if kind == Clsact {
			testnet.Run(t, l.ns, "tc", "filter", "add", "dev", "eth0", "ingress", "prio", "9", "protocol", "ip", "u32", "match", "u32", "0", "0")
			l.aheadNames("ingress filter", "u32", `on "eth0"`)
			return
		}
		p := namedProgram(t, "theirs", ebpf.SchedCLS, -1)
		l.inHost(func() error {
			theirs, err := link.AttachTCX(link.TCXOptions{Interface: trunk, Program: p, Attach: ebpf.AttachTCXIngress})
			if err == nil {
				t.Cleanup(func() { must(t, theirs.Close()) })
			}
			return err
		})
		l.aheadNames("tcx ingress", `"theirs"`, `on "eth0"`)
	})
}

// nftables creates a table with a chain on an interface, or on all whose names begin as the part of device
// before "*".
func (l *lab) nftables(family byte, hook uint32, device string) {
	l.Helper()
	must(l, l.tryNFTables(family, hook, device))
}

// tryNFTables is nftables, and returns the kernel's error.
func (l *lab) tryNFTables(family byte, hook uint32, device string) error {
	return l.tryBatch(nftMessage(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, family, nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated("t"))),
		nftMessage(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, family, nl.NewRtAttr(unix.NFTA_CHAIN_TABLE, nl.ZeroTerminated("t")),
			nl.NewRtAttr(unix.NFTA_CHAIN_NAME, nl.ZeroTerminated("c")), nftHook(hook, device),
			nl.NewRtAttr(unix.NFTA_CHAIN_TYPE, nl.ZeroTerminated("filter"))))
}

func nftHook(hook uint32, device string) *nl.RtAttr {
	at := nl.NewRtAttr(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, nil)
	at.AddRtAttr(unix.NFTA_HOOK_HOOKNUM, binary.BigEndian.AppendUint32(nil, hook))
	at.AddRtAttr(unix.NFTA_HOOK_PRIORITY, binary.BigEndian.AppendUint32(nil, 0))
	if prefix, is := strings.CutSuffix(device, "*"); is {
		at.AddRtAttr(nftaHookDevices|unix.NLA_F_NESTED, nil).AddRtAttr(nftaDevicePrefix, nl.ZeroTerminated(prefix))
	} else {
		at.AddRtAttr(unix.NFTA_HOOK_DEV, nl.ZeroTerminated(device))
	}
	return at
}

func nftMessage(kind, flags int, family byte, parts ...*nl.RtAttr) *nl.NetlinkRequest {
	m := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags|unix.NLM_F_ACK)
	m.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	for _, p := range parts {
		m.AddData(p)
	}
	return m
}

// tryBatch sends messages in one transaction and waits for their acknowledgements.
func (l *lab) tryBatch(all ...*nl.NetlinkRequest) (err error) {
	mark := func(kind int) []byte {
		m := nl.NewNetlinkRequest(kind, 0)
		m.AddData(&nl.Nfgenmsg{ResId: unix.NFNL_SUBSYS_NFTABLES << 8}) // in network order
		return m.Serialize()
	}
	batch := mark(unix.NFNL_MSG_BATCH_BEGIN)
	for _, m := range all {
		batch = append(batch, m.Serialize()...)
	}
	batch = append(batch, mark(unix.NFNL_MSG_BATCH_END)...)
	testnet.In(l, l.ns, func() { err = sendBatch(batch, len(all)) })
	return err
}

// sendBatch sends a batch and returns the first error of n acknowledgements.
func sendBatch(batch []byte, n int) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for range n {
		size, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return err
		}
		if code := int32(binary.NativeEndian.Uint32(buffer[unix.NLMSG_HDRLEN:size])); code != 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}

// forgetTables removes all tables of a family.
func (l *lab) forgetTables(family byte) {
	l.Helper()
	must(l, l.tryBatch(nftMessage(unix.NFT_MSG_DELTABLE, 0, family, nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated("t")))))
}

// TestNFTablesByPrefix puts a chain on all interfaces whose names have a prefix, as is possible since
// Linux 6.17.
func TestNFTablesByPrefix(t *testing.T) {
	t.Parallel()
	l := newBridged(t)
	if !hasNFTables() {
		t.Skip("the kernel has no nf_tables, or has not loaded it")
	}
	err := l.tryNFTables(unix.NFPROTO_NETDEV, hookNetdevEgress, "nothing*")
	if err != nil && !errors.Is(err, unix.EINVAL) {
		t.Fatal(err)
	}
	testnet.Since(t, err == nil, "chains of nftables by the prefix of an interface's name", testnet.Version{Major: 6, Minor: 17})
	l.forgetTables(unix.NFPROTO_NETDEV)
	for device, ahead := range map[string]bool{"br*": true, "b*": true, "br0*": true, "eth*": false, "br00*": false} {
		l.nftables(unix.NFPROTO_NETDEV, hookNetdevEgress, device)
		if ahead {
			l.aheadNames("nftables egress", `on "br0"`)
		} else {
			l.nothingAhead(device)
		}
		l.forgetTables(unix.NFPROTO_NETDEV)
	}
}

// TestNFTablesAhead puts nftables chains on interfaces: at the parent's egress, and at the
// ingress of a port, they get frames before berth's programs; elsewhere after.
func TestNFTablesAhead(t *testing.T) {
	t.Parallel()
	l := newBridged(t)
	if !hasNFTables() {
		t.Skip("the kernel has no nf_tables, or has not loaded it")
	}
	for name, c := range map[string]struct {
		family byte
		hook   uint32
		device string
		words  []string // none if it is not ahead
	}{
		"the parent's egress":     {unix.NFPROTO_NETDEV, hookNetdevEgress, "br0", []string{"nftables egress", `"c"`, `"t"`, `on "br0"`}},
		"the parent's ingress":    {unix.NFPROTO_NETDEV, hookNetdevIngress, "br0", nil},
		"the port's egress":       {unix.NFPROTO_NETDEV, hookNetdevEgress, "eth0", nil},
		"the port's ingress":      {unix.NFPROTO_NETDEV, hookNetdevIngress, "eth0", []string{"nftables ingress", `on "eth0"`}},
		"the port's inet ingress": {unix.NFPROTO_INET, hookInetIngress, "eth0", []string{"nftables ingress", `on "eth0"`}},
		"another interface":       {unix.NFPROTO_NETDEV, hookNetdevIngress, "lo", nil},
	} {
		l.nftables(c.family, c.hook, c.device)
		if len(c.words) == 0 {
			l.nothingAhead(name)
		} else {
			l.aheadNames(c.words...)
		}
		l.forgetTables(c.family)
		l.nothingAhead("after " + name)
	}
}
