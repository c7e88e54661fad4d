package e2e

import (
	"strings"
	"testing"

	"berth/test/lab"
)

// TestCNIOfPodman starts containers on berth's network as podman's own, with the CNI backend
// of podman 4: with the pool's address, and with a requested address and MAC.
func TestCNIOfPodman(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	must(t, s.Policy("[policy]\nstatic_ips = true\nstatic_macs = true\n"))
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	must(t, p.Setup())
	if has, err := p.UseCNI("lan"); err != nil || !has {
		must(t, err)
		t.Skip("this podman makes its networks by netavark: it has no CNI")
	}
	before := s.snapshot(t)
	const mac = "02:00:5e:00:53:70"
	for address, flags := range map[string][]string{firstOfPool: nil, "192.0.2.70": {"--ip", "192.0.2.70", "--mac-address", mac}} {
		c := lab.Container{ID: s.id("native"), Network: "lan", Args: []string{"sleep", "600"}}
		id, err := p.StartWith(c, flags...)
		must(t, err)
		s.expectReached(t, address)
		shown := findEndpoint(t, s.ps(t), id)
		inspected, err := p.Client("inspect", "--format", "{{json .NetworkSettings.Networks}}", c.ID)
		must(t, err)
		for _, want := range []string{address, shown.MAC.String(), `"Gateway":"192.0.2.1"`} {
			if !strings.Contains(inspected, want) {
				t.Errorf("podman inspect shows no %s: %s", want, inspected)
			}
		}
		if flags != nil && shown.MAC.String() != mac {
			t.Errorf("MAC %s, want %s", shown.MAC, mac)
		}
		must(t, p.Restart(c.ID))
		s.expectReached(t, address)
		must(t, p.Stop(c.ID))
		s.expectNothingLeft(t, before)
	}
}
