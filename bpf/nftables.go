//go:build !hook

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// netdevChain is a base chain of nftables at the ingress or egress of interfaces. At egress
// it gets frames before TC does (__dev_queue_xmit in net/core/dev.c), at ingress after it
// (__netif_receive_skb_core).
type netdevChain struct {
	table, name string
	egress      bool
	devices     []string // names; one with "*" at its end is a prefix of names
}

// isOn reports whether the chain is on an interface.
func (c *netdevChain) isOn(device string) bool {
	return slices.ContainsFunc(c.devices, func(name string) bool {
		prefix, is := strings.CutSuffix(name, "*")
		return name == device || is && strings.HasPrefix(device, prefix)
	})
}

// String returns a description for the status.
func (c netdevChain) String() string {
	way := ingress
	if c.egress {
		way = egress
	}
	return fmt.Sprintf("nftables %s chain %q of table %q", way, c.name, c.table)
}

// hasNFTables reports whether nf_tables is in the kernel. A request would load the module.
func hasNFTables() bool {
	_, err := os.Stat("/sys/module/nf_tables")
	return err == nil || builtinNFTables()
}

var builtinNFTables = sync.OnceValue(func() bool {
	types, err := btf.LoadKernelSpec()
	return err == nil && hasMember(types, "nft_base_chain", "type")
})

// Messages and attributes of include/uapi/linux/netfilter/nf_tables.h, and the numbers of
// the hooks (netfilter.h, netfilter_netdev.h).
const (
	nftGetChain = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETCHAIN
	nftNewChain = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWCHAIN

	hookNetdevIngress = 0
	hookNetdevEgress  = 1
	hookInetIngress   = 5
)

// netdevChains returns the chains of the current namespace that are on interfaces.
func netdevChains() (all []netdevChain, err error) {
	if !hasNFTables() {
		return nil, nil
	}
	var answers [][]byte
	for range 3 { // a dump that changes meanwhile is repeated
		request := nl.NewNetlinkRequest(nftGetChain, unix.NLM_F_DUMP)
		request.AddData(&nl.Nfgenmsg{})
		if answers, err = request.Execute(unix.NETLINK_NETFILTER, nftNewChain); !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the chains of nftables: %w", err)
	}
	for _, b := range answers {
		if c, ok := parseChain(b); ok {
			all = append(all, c)
		}
	}
	return all, nil
}

// parseChain parses a chain; ok is false if it is on no interface.
func parseChain(b []byte) (c netdevChain, ok bool) {
	if len(b) < nl.SizeofNfgenmsg {
		return c, false
	}
	family := b[0]
	for kind, v := range nfAttributes(b[nl.SizeofNfgenmsg:]) {
		switch kind {
		case unix.NFTA_CHAIN_TABLE:
			c.table = unix.ByteSliceToString(v)
		case unix.NFTA_CHAIN_NAME:
			c.name = unix.ByteSliceToString(v)
		case unix.NFTA_CHAIN_HOOK:
			ok = c.parseHook(family, v)
		}
	}
	return c, ok
}

// parseHook parses the place of a chain, and reports whether it is on interfaces.
func (c *netdevChain) parseHook(family byte, b []byte) bool {
	number := uint32(1 << 31)
	var one, more []string // the kernel names a single interface in both attributes
	for kind, v := range nfAttributes(b) {
		switch kind {
		case unix.NFTA_HOOK_HOOKNUM:
			if len(v) == 4 {
				number = binary.BigEndian.Uint32(v)
			}
		case unix.NFTA_HOOK_DEV:
			one = append(one, unix.ByteSliceToString(v))
		case nftaHookDevices:
			for kind, name := range nfAttributes(v) {
				more = append(more, deviceName(kind, name))
			}
		}
	}
	if c.devices = more; len(more) == 0 {
		c.devices = one
	}
	switch {
	case family == unix.NFPROTO_NETDEV && number == hookNetdevEgress:
		c.egress = true
	case family == unix.NFPROTO_NETDEV && number == hookNetdevIngress, family == unix.NFPROTO_INET &&
		number == hookInetIngress:
	default:
		return false
	}
	return len(c.devices) > 0
}

// deviceName returns the name of an interface, or a prefix of names with "*": it has a type of its own
// since Linux 6.17, and in 6.16 no zero byte at its end (nft_nla_put_hook_dev in
// net/netfilter/nf_tables_api.c).
func deviceName(kind int, v []byte) string {
	name := unix.ByteSliceToString(v)
	if kind == nftaDevicePrefix || !slices.Contains(v, 0) {
		name += "*"
	}
	return name
}

// NFTA_HOOK_DEVS, and NFTA_DEVICE_PREFIX in it.
const (
	nftaHookDevices  = 4
	nftaDevicePrefix = 2
)

// nfAttributes iterates over the attributes of a message by type.
func nfAttributes(b []byte) func(yield func(kind int, v []byte) bool) {
	return func(yield func(int, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			size := int(binary.NativeEndian.Uint16(b))
			kind := int(binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER))
			if size < unix.SizeofNlAttr || size > len(b) || !yield(kind, b[unix.SizeofNlAttr:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}
