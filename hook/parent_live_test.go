package hook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// waiting is a logger's handler that closes a channel when a start begins to wait for its parent.
type waiting struct {
	slog.Handler
	begun chan struct{}
}

func (w waiting) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "wait for the parent" {
		close(w.begun)
	}
	return w.Handler.Handle(ctx, r)
}

// startWaiting starts a container and returns once the start waits for its parent.
func (h *host) startWaiting(b *box) (done chan error) {
	h.Helper()
	return h.startWaitingIn(h.Context(), b, func() {})
}

// startWaitingIn is startWaiting with a context; it calls then once the start waits.
func (h *host) startWaitingIn(ctx context.Context, b *box, then func()) (done chan error) {
	h.Helper()
	hook := h.hook()
	begun := make(chan struct{})
	hook.Log = slog.New(waiting{hook.Log.Handler(), begun})
	done = make(chan error, 1)
	go func() { done <- hook.Run(ctx, "", bytes.NewReader(b.state("creating"))) }()
	select {
	case <-begun:
		then()
	case err := <-done:
		h.Fatalf("the start did not wait: %v", err)
	}
	return done
}

// TestLateParent requires that a start waits for a parent, or a VLAN's trunk, that is absent or down.
func TestLateParent(t *testing.T) {
	t.Parallel()
	here := testnet.Here(t)
	remove := func(h *host) { testnet.Run(t, here, "ip", "link", "del", h.parent) }
	add := func(h *host) { testnet.Veth(t, h.parent, here, "wire", h.lan) }
	for name, c := range map[string]struct {
		parent        string
		before, after func(h *host)
	}{
		"absent": {"PARENT", remove, add},
		"trunk":  {"PARENT.7", remove, add},
		"down": {"PARENT", func(h *host) { testnet.Run(t, here, "ip", "link", "set", h.parent, "down") },
			func(h *host) { testnet.Up(t, here, h.parent) }},
		"alternative name": {"PARENTx", func(*host) {},
			func(h *host) {
				testnet.Run(t, here, "ip", "link", "property", "add", "dev", h.parent, "altname", h.parent+"x")
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "trunk" {
				testnet.Need(t, testnet.VLAN)
			}
			h := newHost(t)
			h.network("lan", strings.Replace("parent_timeout = '15s'\n"+lan, "PARENT", c.parent, 1))
			b := h.box("a", "lan")
			c.before(h)
			done := h.startWaiting(b)
			c.after(h)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			requireContains(t, ipIn(t, b.ns, "addr show net1"), "192.0.2.2/24")
			h.mustStop(b)
		})
	}
}

// TestLateParentNeverComes requires that a start fails after parent_timeout, or if it is stopped before,
// and leaves nothing.
func TestLateParentNeverComes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", "parent_timeout = '20ms'\n"+strings.Replace(lan, "PARENT", "none0", 1))
	h.network("long", "parent_timeout = '15s'\n"+strings.Replace(lan, "PARENT", "none0", 1))
	h.network("wrong", "parent_timeout = '15s'\n"+strings.Replace(lan, "PARENT", "lo", 1))
	a, b, c := h.box("a", "lan"), h.box("b", "long"), h.box("c", "wrong")
	before := h.snapshot(a)
	err := <-h.startWaiting(a)
	if err == nil {
		t.Fatal("started without a parent")
	}
	requireContains(t, err.Error(), "berth/networks", `parent "none0" of network "lan" does not exist`, "berth waited 20ms for it (parent_timeout)")
	h.unchanged(a, before)

	stopped := errors.New("the runtime waits no longer")
	ctx, cancel := context.WithCancelCause(t.Context())
	h.step = func(string) error { t.Error("a step was done"); return nil }
	err = <-h.startWaitingIn(ctx, b, func() { cancel(stopped) })
	if !errors.Is(err, stopped) {
		t.Errorf("error %v", err)
	}
	requireContains(t, err.Error(), `parent "none0"`)
	if err := h.start(c); err == nil || strings.Contains(err.Error(), "waited") { // no time makes it one
		t.Errorf("on lo: %v", err)
	}
}
