package e2e

import (
	"testing"

	"berth/test/lab"
)

// TestImageAnnotations checks that an annotation in an image does not attach a
// container. Podman before 4.6 passes such annotations to the runtime.
func TestImageAnnotations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	must(t, p.Setup())
	must(t, p.Build("published", "berth/networks=lan"))
	before := s.snapshot(t)
	if err := p.RunImage(s.id("one"), "published", "sleep", "600"); err != nil {
		s.expectRefused(t, err, "berth/networks", `"lan"`, "image", "--annotation")
	}
	if all := s.ps(t); len(all) != 0 {
		t.Errorf("berth ps shows %+v, which only the image requests", all)
	}
	must(t, p.Stop(s.id("one")))
	s.expectNothingLeft(t, before)
}
