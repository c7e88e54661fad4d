package install

import (
	"strings"
	"testing"
)

// TestUninstallNamesPodmansNetworks requires a note on networks of podman whose driver is removed,
// and none if another driver remains, such as that of the Debian package.
func TestUninstallNamesPodmansNetworks(t *testing.T) {
	const ofBerth, ofPodman = `{"name": "lan", "driver": "berth"}`, `{"name": "bridged", "driver": "bridge"}`
	for name, c := range map[string]struct {
		conf, dir, remains string
		want               bool
	}{
		"a network":                  {"", "/etc/containers/networks", "", true},
		"in another directory":       {"[network]\nnetwork_config_dir = \"/srv/networks\"\n", "/srv/networks", "", true},
		"of another driver":          {"", "/srv/networks", "", false},
		"the package's link remains": {"", "/etc/containers/networks", "/usr/libexec/netavark/berth", false},
	} {
		h := newHost(t, "podman=5.4.2 crun", nil)
		h.write("/etc/containers/containers.conf", c.conf, 0o644)
		h.write("/etc/containers/networks/bridged.json", ofPodman, 0o644)
		h.write(c.dir+"/lan.json", ofBerth, 0o644)
		if c.remains != "" {
			h.write(c.remains, "", 0o755)
		}
		o := h.options("podman", Options{})
		h.install(o)
		shown := h.showPlan(h.uninstall(o))
		if strings.Contains(shown, "containers on its networks lan;") != c.want || strings.Contains(shown, "bridged") {
			t.Errorf("%s: want a note: %t\n%s", name, c.want, shown)
		}
	}
}
