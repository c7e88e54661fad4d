package hook

import (
	"bytes"
	"errors"
	"testing"

	"berth/internal/testnet"
	"berth/network"
)

// stopApart stops a container while another process deletes its links.
func (h *host) stopApart(b *box, other func(nsid int, name string) error) {
	h.Helper()
	k := h.hook()
	k.Unlink = other
	if err := k.Run(h.Context(), "", bytes.NewReader(b.state("stopped"))); err != nil {
		h.Fatalf("stop %s: %v", b.id, err)
	}
}

func TestUnlinkedByAnother(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	nothing := func(int, string) error { return nil }
	refusal := func(int, string) error { return errors.New("no process") }
	for id, other := range map[string]func(int, string) error{
		"deletes it": func(nsid int, name string) error {
			go Unlink(nsid, name)
			return nil
		},
		"comes too late": nothing, "does not start": refusal,
	} {
		b := h.box(id, "lan,lan@lan1")
		before := h.snapshot(b)
		h.mustStart(b)
		h.stopApart(b, other)
		h.unchanged(b, before)
	}
}

// TestUnlinkLeavesOthers uses a name that no link of the namespace has.
func TestUnlinkLeavesOthers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	b := h.box("a", "lan")
	h.mustStart(b)
	r := h.firstOf("a")
	if err := Unlink(r.NSID, "berth:of another link"); err != nil {
		t.Error(err)
	}
	testnet.Run(t, b.ns, "ip", "link", "show", r.Interface)
	if err := Unlink(r.NSID, r.AltName()); err != nil {
		t.Error(err)
	}
	host, err := network.NewHandle()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if _, err := host.LinkIn(r.NSID, r.Interface); !errors.Is(err, network.ErrNoLink) {
		t.Errorf("the link after Unlink: %v", err)
	}
	if err := Unlink(r.NSID, r.AltName()); err != nil {
		t.Errorf("a link that is gone: %v", err)
	}
	h.mustStop(b)
}
