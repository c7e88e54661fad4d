package e2e

import (
	"fmt"
	"strings"
	"testing"

	"berth/specs"
	"berth/test/lab"
)

// TestModes checks for each mode of macvlan whether siblings reach each other on a
// LAN whose switch does not reflect. The LAN reaches them in every mode.
func TestModes(t *testing.T) {
	for mode, siblings := range map[specs.Mode]bool{
		specs.ModeBridge:  true,
		specs.ModePrivate: false,
		specs.ModeVEPA:    false,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, r := modeSite(t, mode)
			before := s.snapshot(t)
			for i := range 2 {
				startOnLAN(t, s, r, s.id(i))
			}
			for _, a := range []string{"192.0.2.64", "192.0.2.65"} {
				expectPing(t, "from the LAN", func() (string, error) {
					return s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "20", a)
				})
			}
			within := "1" // a second
			if siblings {
				within = "20"
			}
			out, err := r.Exec(s.id(0), "ping", "-c", "2", "-i", "0.2", "-W", within, "192.0.2.65")
			if reached := err == nil; reached != siblings {
				t.Errorf("siblings reach each other: %t, want %t: %s", reached, siblings, out)
			}
			if got := findEndpoint(t, s.ps(t), s.id(0)).Mode; got != mode {
				t.Errorf("berth ps shows mode %s, want %s", got, mode)
			}
			for i := range 2 {
				must(t, r.Stop(s.id(i)))
			}
			s.expectNothingLeft(t, before)
		})
	}
}

// TestPassthru checks that a parent takes one container, which has the parent's MAC.
func TestPassthru(t *testing.T) {
	t.Parallel()
	s, r := modeSite(t, specs.ModePassthru)
	before := s.snapshot(t)
	startOnLAN(t, s, r, s.id("first"))
	expectPing(t, "from the LAN", func() (string, error) {
		return s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "20", "192.0.2.64")
	})
	link, err := s.Run("ip", "-oneline", "link", "show", "eth1")
	must(t, err)
	if mac := findEndpoint(t, s.ps(t), s.id("first")).MAC.String(); !strings.Contains(link, mac) {
		t.Errorf("the container's MAC is %s, want the parent's: %s", mac, link)
	}
	held := s.snapshot(t)
	_, err = r.Start(lab.Container{ID: s.id("second"), Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lan"}})
	s.expectRefused(t, err, "passthru", "eth1", s.id("first"))
	if d := s.snapshot(t).difference(held); d != "" {
		t.Error(d)
	}
	must(t, r.Stop(s.id("first")))
	s.expectNothingLeft(t, before)
}

// modeSite returns a site whose network has the given mode.
func modeSite(t *testing.T, mode specs.Mode) (*site, *lab.Runc) {
	t.Helper()
	s := newSite(t)
	must(t, s.Network("lan", fmt.Sprintf("mode = %q\n", mode)+lanNetwork))
	return s, &lab.Runc{Host: s.Host, Rootfs: rootfs}
}

func startOnLAN(t *testing.T, s *site, e lab.Engine, id string) {
	t.Helper()
	_, err := e.Start(lab.Container{ID: id, Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lan"}})
	must(t, err)
}
