package main

import (
	"fmt"
	"slices"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestParentComesBack moves the parent to another namespace and back while a container
// lives. The parent gets another index: it is counted again, and no key of the old index is
// left.
func TestParentComesBack(t *testing.T) {
	t.Parallel()
	for _, attach := range []string{"auto", "clsact"} {
		t.Run(attach, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.writeNetwork("lan", lanFile)
			l.agentConfig(fmt.Sprintf("attach = %q", attach))
			l.startAgent()
			web := l.attachContainer("web", 1)
			web.sendFrames(3)
			web.waitSent(3)
			before := testnet.Link(t, l.host, parent).Attrs().Index
			away := testnet.Namespace(t)
			testnet.Run(t, away, "ip", "link", "add", "taken", "index", fmt.Sprint(before), "type", "veth",
				"peer", "name", "other", "index", fmt.Sprint(before+100))
			testnet.Run(t, l.host, "ip", "link", "set", parent, "netns", away.Path())
			l.parentIs(parent, specs.ParentWaiting)
			testnet.Run(t, away, "ip", "link", "set", parent, "netns", l.host.Path())
			testnet.Up(t, l.host, parent)
			testnet.Up(t, web.ns, "net1")
			lanMAC := testnet.Link(t, l.lan, "wire").Attrs().HardwareAddr.String()
			testnet.Run(t, web.ns, "ip", "neigh", "replace", lanAddr, "lladdr", lanMAC, "dev", "net1")
			after := testnet.Link(t, l.host, parent).Attrs().Index
			testnet.Eventually(t, "the parent with its endpoint", func() bool {
				return slices.ContainsFunc(l.agentStatus().Parents, func(p specs.ParentStatus) bool {
					return p.Index == after && p.State == specs.ParentCounting && p.Endpoints == 1
				})
			})
			web.sendFrames(4)
			web.waitSent(7)
			mustSucceed(t, l.store.View(t.Context(), func(tx *state.Tx) error {
				a, err := tx.Attachment(web.record.Key())
				if err == nil && (a.ParentIndex != after || a.Slot != web.record.Slot) {
					t.Errorf("%+v, want index %d", a, after)
				}
				return err
			}))
		})
	}
}
