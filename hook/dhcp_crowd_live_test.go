package hook

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/internal/testnet"
)

// TestACrowdWithDHCP starts thirty containers at once on one network with leases of both families.
// Each has its own addresses, and none is left when they have ended at once.
func TestACrowdWithDHCP(t *testing.T) {
	t.Parallel()
	const n = 30
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600,
		Options: "--dhcp-lease-max=400 --dhcp-range=192.0.2.2,192.0.2.99,255.255.255.0,600 --dhcp-range=2001:db8::100,2001:db8::1ff,64,600"})
	testnet.Address(t, h.lan, "wire", "2001:db8::1/64")
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\nipv6 = 'dhcp'\ndhcp_timeout = '15s'\n")
	boxes := make([]*box, n)
	for i := range boxes {
		boxes[i] = h.box(fmt.Sprint("c", i), "lan")
	}
	h.atOnce(boxes, h.startPatiently)
	had := map[string]string{}
	for _, b := range boxes {
		for _, a := range h.attachments(b.id) {
			for _, p := range a.Addresses {
				if other := had[p.String()]; other != "" {
					t.Errorf("%s is both %s's and %s's", p, other, b.id)
				}
				had[p.String()] = b.id
			}
		}
	}
	if len(had) != 2*n {
		t.Errorf("%d addresses of %d containers", len(had), n)
	}
	h.atOnce(boxes, func(b *box) error { return h.runHook(h.hook(), b.state("stopped")) })
	if left := h.records(); left != "" {
		t.Errorf("left:\n%s", left)
	}
}

// startPatiently starts a container, again if no server answered in time: the machine may be slow.
func (h *host) startPatiently(b *box) (err error) {
	for until := time.Now().Add(3 * time.Minute); time.Now().Before(until); {
		if err = h.start(b); err == nil || !strings.Contains(err.Error(), "no address from a DHCP server") {
			return err
		}
	}
	return err
}

// atOnce does something with each container, with all at once.
func (h *host) atOnce(boxes []*box, do func(*box) error) {
	h.Helper()
	errs := make([]error, len(boxes))
	var wait sync.WaitGroup
	for i, b := range boxes {
		wait.Go(func() { errs[i] = do(b) })
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			h.Errorf("%s: %v", boxes[i].id, err)
		}
	}
}
