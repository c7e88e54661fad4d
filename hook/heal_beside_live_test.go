package hook

import (
	"strings"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestHealBesideTheEngine: after the interface is made again, the container's default route is the one
// that it had: on the engine's own interface, or set by docker on berth's.
func TestHealBesideTheEngine(t *testing.T) {
	t.Parallel()
	const onBridge, onLAN = "default via 203.0.113.1 dev eth0", "default via 192.0.2.1 dev net1 proto static"
	docker := &state.Door{Name: state.DoorDocker, Network: "1f"}
	for name, c := range map[string]struct {
		keys  string
		door  *state.Door
		route string
	}{
		"annotation, bridge beside":       {"default_route = false\n", nil, onBridge},
		"driver of docker, bridge beside": {"", docker, onBridge},
		"driver of docker alone":          {"", docker, onLAN},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", c.keys+lan)
			b := h.box("a", "lan")
			testnet.Veth(t, testnet.Unique("e"), testnet.Here(t), "eth0", b.ns)
			testnet.Address(t, b.ns, "eth0", "203.0.113.2/24")
			setDefault := append([]string{"route", "add"}, strings.Fields(c.route)...)
			if c.route == onBridge {
				testnet.Run(t, b.ns, "ip", setDefault...)
			}
			h.attachBy(b, c.door)
			if c.route == onLAN {
				testnet.Run(t, b.ns, "ip", setDefault...)
			}
			before, routes := h.firstOf("a"), testnet.Run(t, b.ns, "ip", "route")
			if !strings.Contains(routes, c.route) || strings.Count(routes, "default") != 1 {
				t.Fatalf("routes before:\n%s", routes)
			}
			h.removeParent()
			h.returnParent()
			h.heal()
			now := h.firstOf("a")
			before.Gateways = now.Gateways // berth records the route that it sets itself from now on
			h.expectHealed(b, before, routes)
		})
	}
}

// attachBy attaches a container to network lan by a door, or by its annotation without one.
func (h *host) attachBy(b *box, door *state.Door) {
	h.Helper()
	if door == nil {
		h.mustStart(b)
		return
	}
	of := Sandbox{ID: b.id, Pid: b.process.Pid, Door: door, KeepDefault: true, EngineDefault: true}
	if _, err := h.hook().Attach(h.Context(), of, []specs.Selection{{Network: "lan"}}); err != nil {
		h.Fatal(err)
	}
}
