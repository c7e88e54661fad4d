package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Parent handles of traffic control (include/uapi/linux/pkt_sched.h).
const (
	parentClsact  = 0xfffffff1 // TC_H_CLSACT, and TC_H_INGRESS
	clsactHandle  = 0xffff0000
	parentIngress = 0xfffffff2 // TC_H_MIN_INGRESS of clsact
	parentEgress  = 0xfffffff3 // TC_H_MIN_EGRESS
)

// tc sends requests of traffic control in the network namespace in which it was opened. It has the
// few messages that a hook needs: package netlink, with those of everything else, has a twentieth
// of the hook's code and of its initialisation.
type tc struct{ sockets map[int]*nl.SocketHandle }

func openTC() (*tc, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := s.SetSendTimeout(&nl.SocketTimeoutTv); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up netlink: %w", err)
	}
	if err := s.SetReceiveTimeout(&nl.SocketTimeoutTv); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up netlink: %w", err)
	}
	return &tc{map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

func (c *tc) Close() {
	for _, s := range c.sockets {
		s.Close()
	}
}

// sendRequest sends a request and returns the answers of type want.
func (c *tc) sendRequest(kind, flags int, want uint16, parts ...nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = c.sockets
	for _, p := range parts {
		req.AddData(p)
	}
	return req.Execute(unix.NETLINK_ROUTE, want)
}

// qdisc is a qdisc of an interface.
type qdisc struct {
	parent, handle uint32
	kind           string
}

func clsactHeader(ifindex int) *nl.TcMsg {
	return &nl.TcMsg{Family: unix.AF_UNSPEC, Ifindex: int32(ifindex), Handle: clsactHandle, Parent: parentClsact}
}

func kindAttr(kind string) *nl.RtAttr { return nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)) }

// addClsact creates the clsact qdisc; it returns EEXIST if there is one.
func (c *tc) addClsact(ifindex int) error {
	_, err := c.sendRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0,
		clsactHeader(ifindex), kindAttr(Clsact))
	return err
}

func (c *tc) deleteClsact(ifindex int) error {
	_, err := c.sendRequest(unix.RTM_DELQDISC, unix.NLM_F_ACK, 0, clsactHeader(ifindex))
	return err
}

// qdiscs lists the qdiscs of an interface.
func (c *tc) qdiscs(ifindex int) (all []qdisc, err error) {
	answers, err := c.sendRequest(unix.RTM_GETQDISC, unix.NLM_F_DUMP, unix.RTM_NEWQDISC,
		&nl.TcMsg{Family: unix.AF_UNSPEC, Ifindex: int32(ifindex)})
	for _, m := range answers {
		if len(m) < nl.SizeofTcMsg {
			return nil, unix.EBADMSG
		}
		at := nl.DeserializeTcMsg(m)
		if int(at.Ifindex) != ifindex {
			continue
		}
		q := qdisc{parent: at.Parent, handle: at.Handle}
		if err := eachAttr(m[at.Len():], func(kind uint16, v []byte) {
			if kind == nl.TCA_KIND {
				q.kind = textOf(v)
			}
		}); err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	return all, err
}

// filter is a filter of an interface's clsact qdisc. The last four members are those of kind bpf.
type filter struct {
	index    int // of the interface
	parent   uint32
	handle   uint32
	priority uint16
	chain    uint32
	kind     string

	name         string
	directAction bool
	program      uint32 // its ID; the kernel sets it
	fd           int    // of the program, to put the filter
}

const kindBPF = "bpf"

func (f *filter) header() *nl.TcMsg {
	protocol := uint32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	return &nl.TcMsg{
		Family: unix.AF_UNSPEC, Ifindex: int32(f.index), Handle: f.handle, Parent: f.parent,
		Info: uint32(f.priority)<<16 | protocol,
	}
}

// putFilter creates or replaces a filter of kind bpf for all protocols.
func (c *tc) putFilter(f *filter) error {
	flags := uint32(0)
	if f.directAction {
		flags = nl.TCA_BPF_FLAG_ACT_DIRECT
	}
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_BPF_FD, nl.Uint32Attr(uint32(f.fd)))
	options.AddRtAttr(nl.TCA_BPF_NAME, nl.ZeroTerminated(f.name))
	options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(flags))
	_, err := c.sendRequest(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_ACK, 0,
		f.header(), kindAttr(kindBPF), options)
	return err
}

func (c *tc) deleteFilter(f *filter) error {
	_, err := c.sendRequest(unix.RTM_DELTFILTER, unix.NLM_F_ACK, 0, f.header(), kindAttr(f.kind))
	return err
}

// filters lists the filters of a parent handle, in the order in which the kernel runs them.
func (c *tc) filters(ifindex int, parent uint32) (all []*filter, err error) {
	answers, err := c.sendRequest(unix.RTM_GETTFILTER, unix.NLM_F_DUMP, unix.RTM_NEWTFILTER,
		&nl.TcMsg{Family: unix.AF_UNSPEC, Ifindex: int32(ifindex), Parent: parent})
	for _, m := range answers {
		f, ok, err := parseFilter(m)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, f)
		}
	}
	return all, err
}
