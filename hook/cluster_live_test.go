package hook

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

const clusterToml = "[cluster]\netcd = ['http://192.0.2.250:2379']\n"

func clusterNetwork(more string) string {
	return "parent = 'PARENT'\nipam = 'cluster'\ndomain = 'lan-hq'\nconflict_timeout = '0s'\n" + more +
		"[[subnet]]\nsubnet = '192.0.2.0/24'\nip_range = '192.0.2.64/26'\n"
}

// openParts opens parts as the agent does.
func (h *host) openParts(parts ...lease.Part) {
	h.Helper()
	must(h.T, h.store.Update(h.Context(), func(tx *state.Tx) error {
		for _, p := range parts {
			if err := lease.OpenPart(tx, "lan-hq", p); err != nil {
				return err
			}
		}
		return nil
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answerWish acts as the agent does: it waits for a start's wish, opens parts and answers.
func (h *host) answerWish(a netip.Addr, parts ...lease.Part) {
	h.Helper()
	testnet.Eventually(h.T, "a wish", func() (wished bool) {
		must(h.T, h.store.View(h.Context(), func(tx *state.Tx) error { wished = lease.Wished(tx, "lan-hq", a); return nil }))
		return wished
	})
	h.openParts(parts...)
	must(h.T, h.store.Update(h.Context(), func(tx *state.Tx) error { return lease.AnswerWish(tx, "lan-hq", a) }))
}

// TestSharedPool starts containers on a network whose pool is shared: addresses are of open
// parts, MACs have the node's prefix, and a start without a free address waits for the agent.
func TestSharedPool(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.grow = 2 * time.Minute
	h.write("berth.toml", open+clusterToml)
	h.network("lan", clusterNetwork(""))
	mac, first := lease.Part{MAC: [2]byte{0x13, 0xc1}}, lease.Part{Prefix: netip.MustParsePrefix("192.0.2.72/31")}
	h.openParts(mac, first)
	for _, c := range []struct{ id, want string }{{"a", "192.0.2.72"}, {"b", "192.0.2.73"}} {
		h.mustStart(h.box(c.id, "lan"))
		if got := h.firstOf(c.id); got.Addresses[0].Addr().String() != c.want || !strings.HasPrefix(got.MAC.String(), "02:13:c1:") {
			t.Errorf("%s: %v %s, want %s", c.id, got.Addresses, got.MAC, c.want)
		}
	}
	third := h.box("c", "lan")
	started := make(chan error, 1)
	go func() { started <- h.start(third) }()
	h.answerWish(netip.Addr{}, lease.Part{Prefix: netip.MustParsePrefix("192.0.2.88/31")})
	must(t, <-started)
	if got := h.firstOf("c").Addresses[0].Addr().String(); got != "192.0.2.88" {
		t.Errorf("c has %s, want an address of the new part", got)
	}

	static, a := h.box("d", `[{"name":"lan","ips":["192.0.2.9"]}]`), netip.MustParseAddr("192.0.2.9")
	go func() { started <- h.start(static) }()
	h.answerWish(a, lease.Part{Prefix: netip.PrefixFrom(a, 32)})
	must(t, <-started)

	if err := h.start(h.box("e", `[{"name":"lan","mac":"02:99:00:00:00:01"}]`)); err == nil || !strings.Contains(err.Error(), "may be another node's") {
		t.Errorf("a MAC of another node: %v", err)
	}
}

// TestSharedPoolWithoutAgent refuses a start in time, with the agent's reason, if no part has a
// free address, and a network with a shared pool on a machine that is no node.
func TestSharedPoolWithoutAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", clusterNetwork("driver = 'ipvlan'\n"))
	if err := h.start(h.box("a", "lan")); err == nil || !strings.Contains(err.Error(), "berth.toml names no etcd") {
		t.Errorf("without [cluster]: %v", err)
	}
	h.write("berth.toml", open+clusterToml)
	must(t, h.store.Update(t.Context(), func(tx *state.Tx) error { return lease.SetTrouble(tx, "lan-hq", "etcd is away") }))
	want := fmt.Sprintf("this node has no address of domain %q; etcd is away", "lan-hq")
	if err := h.start(h.box("b", "lan")); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("without a part: %v", err)
	}
}

// TestStickyFollows starts a container of a sticky network that had an address on another node: it
// gets the address again if the agent gets its block, and another one if the agent does not, or if
// the agent does not reach etcd, in which case the start does not ask.
func TestStickyFollows(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.grow = 2 * time.Minute
	h.write("berth.toml", open+clusterToml)
	h.network("lan", clusterNetwork("sticky = true\n"))
	h.openParts(lease.Part{MAC: [2]byte{0x13, 0xc1}}, lease.Part{Prefix: netip.MustParsePrefix("192.0.2.72/29")})
	former := map[string]netip.Addr{"a": netip.MustParseAddr("192.0.2.90"), "b": netip.MustParseAddr("192.0.2.100"),
		"c": netip.MustParseAddr("192.0.2.110")}
	must(t, h.store.Update(t.Context(), func(tx *state.Tx) error {
		for name, a := range former {
			if err := lease.SetFormer(tx, "lan-hq", lease.FormerID(name, "net1"), []netip.Addr{a}); err != nil {
				return err
			}
		}
		return nil
	}))
	started := make(chan error, 1)
	for _, c := range []struct {
		id    string
		block []lease.Part
	}{{"a", []lease.Part{{Prefix: netip.MustParsePrefix("192.0.2.88/29")}}}, {"b", nil}} {
		box := h.box(c.id, "lan")
		go func() { started <- h.start(box) }()
		h.answerWish(former[c.id], c.block...)
		must(t, <-started)
		if got := h.firstOf(c.id).Addresses[0].Addr(); (got == former[c.id]) != (c.block != nil) {
			t.Errorf("%s has %s; its former address is %s", c.id, got, former[c.id])
		}
	}
	must(t, h.store.Update(t.Context(), func(tx *state.Tx) error { return lease.SetTrouble(tx, "lan-hq", "etcd is away") }))
	h.mustStart(h.box("c", "lan"))
	must(t, h.store.View(t.Context(), func(tx *state.Tx) error {
		if wishes := lease.Wishes(tx, "lan-hq"); len(wishes) > 0 {
			t.Errorf("a start without etcd asks for %v", wishes)
		}
		return nil
	}))
}

// TestDamagedMemory starts a container of which the records of its former addresses are damaged: it
// gets another address, which is remembered.
func TestDamagedMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("berth.toml", open+clusterToml)
	h.network("lan", clusterNetwork("sticky = true\n"))
	h.openParts(lease.Part{MAC: [2]byte{0x13, 0xc1}}, lease.Part{Prefix: netip.MustParsePrefix("192.0.2.72/29")})
	key := lease.StickyKey("lan", "web", "net1")
	must(t, h.store.Update(t.Context(), func(tx *state.Tx) error {
		former := []byte("lan-hq\x00" + lease.FormerID("web", "net1"))
		return errors.Join(tx.Bucket("sticky").Put([]byte(key), []byte("x")), tx.Bucket("shared former").Put(former, []byte("x")))
	}))
	h.mustStart(h.box("web", "lan"))
	want := h.firstOf("web").Addresses[0].Addr()
	must(t, h.store.View(t.Context(), func(tx *state.Tx) error {
		m, err := lease.Recall(tx, key)
		if err != nil || !slices.Equal(m.Addresses, []netip.Addr{want}) || m.Started.IsZero() {
			t.Errorf("remembered is %+v, %v; want %s", m, err, want)
		}
		return nil
	}))
}
