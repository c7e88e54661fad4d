package bpf

import (
	"bytes"
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// eachAttr calls fn for each netlink attribute, with its type without flags. It returns EBADMSG at an
// attribute that does not fit.
func eachAttr(b []byte, fn func(kind uint16, value []byte)) error {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return unix.EBADMSG
		}
		fn(binary.NativeEndian.Uint16(b[2:])&nl.NLA_TYPE_MASK, b[unix.SizeofRtAttr:size])
		b = b[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
	}
	return nil
}

// textOf returns a text that ends with a zero byte.
func textOf(v []byte) string {
	before, _, _ := bytes.Cut(v, []byte{0})
	return string(before)
}

// number returns a value of 2 or 4 bytes, or 0 if it has another length.
func number(v []byte) uint32 {
	switch len(v) {
	case 2:
		return uint32(binary.NativeEndian.Uint16(v))
	case 4:
		return binary.NativeEndian.Uint32(v)
	}
	return 0
}

// parseFilter parses a filter of a dump. ok is false for the entries that the kernel lists besides:
// those of priorities, which have no options, and the tables of u32.
func parseFilter(m []byte) (f *filter, ok bool, err error) {
	if len(m) < nl.SizeofTcMsg {
		return nil, false, unix.EBADMSG
	}
	at := nl.DeserializeTcMsg(m)
	f = &filter{index: int(at.Ifindex), parent: at.Parent, handle: at.Handle, priority: uint16(at.Info >> 16)}
	var options []byte
	err = eachAttr(m[nl.SizeofTcMsg:], func(kind uint16, v []byte) {
		switch kind {
		case nl.TCA_KIND:
			f.kind = textOf(v)
		case nl.TCA_CHAIN:
			f.chain = number(v)
		case nl.TCA_OPTIONS:
			options, ok = v, true
		}
	})
	if err != nil || !ok || f.kind != kindBPF && f.kind != "u32" {
		return f, ok, err
	}
	selects := false
	err = eachAttr(options, func(kind uint16, v []byte) {
		if f.kind == "u32" {
			selects = selects || kind == nl.TCA_U32_SEL
			return
		}
		switch kind {
		case nl.TCA_BPF_NAME:
			f.name = textOf(v)
		case nl.TCA_BPF_FLAGS:
			f.directAction = number(v)&nl.TCA_BPF_FLAG_ACT_DIRECT != 0
		case nl.TCA_BPF_ID:
			f.program = number(v)
		}
	})
	return f, f.kind == kindBPF || selects, err
}

// linkFacts are those of an interface that the datapath needs.
type linkFacts struct {
	name  string
	kind  string
	lower int // index of the interface below it, or 0
	vlan  int // its ID, if kind is "vlan"
}

// link returns the facts of an interface.
func (c *tc) link(ifindex int) (l linkFacts, err error) {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index = int32(ifindex)
	answers, err := c.sendRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, unix.RTM_NEWLINK, m)
	if err != nil {
		return l, err
	}
	if len(answers) != 1 || len(answers[0]) < unix.SizeofIfInfomsg {
		return l, unix.EBADMSG
	}
	var info []byte
	err = eachAttr(answers[0][unix.SizeofIfInfomsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = textOf(v)
		case unix.IFLA_LINK:
			l.lower = int(number(v))
		case unix.IFLA_LINKINFO:
			info = v
		}
	})
	if err != nil || info == nil {
		return l, err
	}
	err = l.addKind(info)
	return l, err
}

// addKind adds the facts of an interface's attribute IFLA_LINKINFO.
func (l *linkFacts) addKind(info []byte) error {
	var data []byte
	err := eachAttr(info, func(kind uint16, v []byte) {
		switch kind {
		case nl.IFLA_INFO_KIND:
			l.kind = textOf(v)
		case nl.IFLA_INFO_DATA:
			data = v
		}
	})
	if err != nil || l.kind != "vlan" {
		return err
	}
	return eachAttr(data, func(kind uint16, v []byte) {
		if kind == nl.IFLA_VLAN_ID {
			l.vlan = int(number(v))
		}
	})
}
