package e2e

import (
	"testing"

	"berth/test/lab"
)

// TestImageAnnotations holds an annotation that an image's publisher wrote not
// to attach a container: podman before 4.6 hands it on.
func TestImageAnnotations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	must(t, p.Setup())
	must(t, p.Build("published", "berth/networks=lan"))
	before := s.snapshot(t)
	if err := p.RunImage(s.id("one"), "published", "sleep", "600"); err != nil {
		s.refused(t, err, "berth/networks", `"lan"`, "image", "--annotation")
	}
	if all := s.ps(t); len(all) != 0 {
		t.Errorf("berth ps shows %+v, which nobody has asked for", all)
	}
	must(t, p.Stop(s.id("one")))
	s.nothingLeft(t, before)
}
