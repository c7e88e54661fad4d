package hook

import (
	"strings"
	"testing"

	"berth/internal/testnet"
)

// A hook that runs before the engine's network, as a device's does, refuses a
// default route as one that runs after it does, for every source of the request.
func TestADefaultRouteBeforeTheEnginesNetwork(t *testing.T) {
	t.Parallel()
	const refused = `is refused, because it would conflict with docker's network "bridge", which is set up later: start the container with --network none`
	for name, c := range map[string]struct {
		annotation, device string
		mode               string // docker's network mode
		there              bool   // the engine's network exists
		want               string // in the error; "" if the container starts
	}{
		"device":                  {"", "lan", "bridge", false, refused},
		"annotation":              {"lan", "", "bridge", false, refused},
		"default-route":           {`[{"name":"lan","default-route":["192.0.2.1"]}]`, "", "bridge", false, refused},
		"leased":                  {"", "leased", "bridge", false, "the default route via the DHCP server's router " + refused},
		"no default route":        {"", "plain", "bridge", false, ""},
		"no network of its own":   {"", "lan", "none", false, ""},
		"after it":                {"", "lan", "bridge", true, "the engine has set a default route already"},
		"after it, default-route": {`[{"name":"lan","default-route":["192.0.2.1"]}]`, "", "bridge", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", lan)
			h.network("plain", "default_route = false\n"+lan)
			h.network("leased", "parent = 'PARENT'\nipam = 'dhcp'\n")
			a := h.box("a", c.annotation)
			if c.annotation == "" {
				a.annotations = nil
			}
			a.bundle = dockerBundle(t, "a", c.mode)
			if c.there {
				a.addEngineRoutes(t)
			} else { // as the kernel makes one in every namespace if its module is loaded
				ipIn(t, a.ns, "link add tunl9 type veth peer name tunl8")
			}
			before := h.snapshot(a)
			var networks []string
			if c.device != "" {
				networks = []string{c.device}
			}
			err := h.startWith(a, networks...)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				h.mustStop(a)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			h.unchanged(a, before)
		})
	}
}

// The second of two devices finds the first one's interface, which is berth's
// and not the engine's.
func TestTheSecondDeviceBeforeTheEnginesNetwork(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", strings.ReplaceAll(lan, "192.0.2.", "198.51.100."))
	h.network("plain", "default_route = false\n"+lan)
	a := h.box("a", "")
	a.annotations = map[string]string{"nerdctl/networks": `["bridge"]`}
	if err := h.startWith(a, "plain"); err != nil {
		t.Fatal(err)
	}
	err := h.startWith(a, "lan")
	if err == nil || !strings.Contains(err.Error(), `is refused, because it would conflict with nerdctl's network "bridge"`) {
		t.Errorf("error %v", err)
	}
	if got := testnet.Run(t, a.ns, "ip", "route", "show", "default"); got != "" {
		t.Errorf("default route %s", got)
	}
	h.mustStop(a)
}
