//go:build engines

package e2e

import (
	"testing"

	"berth/specs"
	"berth/test/lab"
)

// TestDockerObserved shows a container on a macvlan network of docker's own.
func TestDockerObserved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := dockerWith(t, s, nil)
	s.expectObservedOf(t, d, d.Client, specs.EngineDocker, func(plain bool) { d.Plain = plain })
}

// TestPodmanObserved shows a container on a macvlan network that podman made by netavark.
func TestPodmanObserved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	must(t, p.Setup())
	s.expectObservedOf(t, p, p.Client, specs.EnginePodman, func(bool) {})
}
