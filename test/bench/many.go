package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"berth/agent/client"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
	"berth/test/lab"
)

// manySubnet has enough addresses for all endpoints (RFC 2544).
var manySubnet = netip.MustParsePrefix("198.18.0.0/15")

// perFill is the number of endpoints that are made between reports of progress.
const perFill = 500

// many makes thousands of endpoints on the host of the caller.
type many struct {
	host   *lab.Host
	inside *lab.Machine // has all the interfaces
	parent int
	cookie uint64
	nsid   int
	have   int
}

func newMany(host *lab.Host) (*many, error) {
	inside, err := lab.NewMachine(host.Name + "-containers")
	if err != nil {
		return nil, err
	}
	parent, err := net.InterfaceByName("eth1")
	if err != nil {
		return nil, err
	}
	ns, err := network.OpenPath(inside.Path())
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	m := &many{host: host, inside: inside, parent: parent.Index}
	if m.cookie, err = ns.Cookie(); err != nil {
		return nil, err
	}
	h, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	m.nsid, err = h.AssignNSID(ns)
	return m, err
}

// fill makes further endpoints, until there are n, and waits until the agent has
// registered them.
func (m *many) fill(n int, step func(int)) error {
	for m.have < n {
		step(m.have)
		to := min(n, m.have+perFill)
		if err := errors.Join(m.links(m.have, to), m.records(m.have, to)); err != nil {
			return err
		}
		m.have = to
	}
	return lab.Eventually(time.Minute, func() error {
		status, err := client.New(m.host.State).Status(context.Background())
		if err == nil && status.Endpoints != n {
			err = fmt.Errorf("the agent knows %d of %d endpoints: %q", status.Endpoints, n, status.Problems)
		}
		return err
	})
}

func manyMAC(i int) specs.MAC { return specs.MAC{2, 0, 0x5e, 1, byte(i >> 8), byte(i)} }

func (m *many) links(from, to int) error {
	var batch strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&batch, "link add link eth1 name net%d netns %s address %s type macvlan mode bridge\n", i,
			m.inside.Name, manyMAC(i))
	}
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	_, err := lab.Output(cmd)
	return err
}

func (m *many) records(from, to int) error {
	return state.Open(m.host.State).Update(context.Background(), func(tx *state.Tx) error {
		addr := manySubnet.Addr().Next().Next()
		for i := range to {
			addr = addr.Next()
			if i < from {
				continue
			}
			slot, err := tx.ClaimSlot(manyEndpoints + 1)
			if err != nil {
				return err
			}
			id := fmt.Sprintf("%064x", uint64(i)*0x9e3779b97f4a7c15)
			err = tx.Put(&state.Attachment{
				Cookie: m.cookie, NSID: m.nsid, Containers: []string{id},
				Annotations: map[string]string{
					"io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.sandbox-name": fmt.Sprintf("pod-%d", i),
					"io.kubernetes.cri.sandbox-namespace": "default", "io.kubernetes.cri.image-name": "registry.example/app:1.0",
				},
				Network: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", ParentIndex: m.parent,
				Interface: fmt.Sprintf("net%d", i), MAC: manyMAC(i), MTU: 1500,
				Addresses: []netip.Prefix{netip.PrefixFrom(addr, manySubnet.Bits())},
				Slot:      slot, Phase: specs.PhaseAttached, Created: time.Now(),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
