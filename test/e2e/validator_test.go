//go:build engines

package e2e

import (
	"maps"
	"strings"
	"testing"

	"berth/test/lab"
)

// What docs/engines/kubernetes.md says of the validator of plugins, which is in
// containerd from 2.2.
const (
	validator = `[plugins."io.containerd.nri.v1.nri".default_validator]
  enable = true
  tolerate_missing_plugins_annotation = "tolerate-missing-plugins.noderesource.dev"
`
	required = `  required_plugins = ["berth"]
`
	tolerates = "tolerate-missing-plugins.noderesource.dev"
	requires  = "required-plugins.noderesource.dev"
)

// validated is a node with a validator, and a plugin that has been killed.
func validated(t *testing.T, settings string) *node {
	t.Helper()
	n := &node{site: newSite(t)}
	must(t, n.Network("lan", podLAN))
	n.agent(t)
	n.cri = &lab.CRI{Containerd: lab.Containerd{Host: n.Host, Rootfs: rootfs}, Settings: settings}
	serve(t, n.cri)
	d := n.plugin(t)
	n.settle(t)
	must(t, d.Kill())
	return n
}

// refusedContainer holds a container of a pod to be refused, as berth is away.
func (n *node) refusedContainer(t *testing.T, c lab.Container) {
	t.Helper()
	if err := n.cri.StartContainer(c); err == nil || !strings.Contains(err.Error(), "berth") {
		t.Errorf("a container of %s without berth: %v, want it refused", c.ID, err)
	}
}

// TestValidatorOfTheNode is a node that requires berth of each container: with
// berth away only a pod that tolerates it starts, and with berth back the pod
// that waits gets its interface.
func TestValidatorOfTheNode(t *testing.T) {
	t.Parallel()
	n := validated(t, validator+required)
	waits := n.sleeper("waits")
	id, err := n.cri.StartPod(waits)
	must(t, err)
	n.refusedContainer(t, waits)
	tolerant := n.sleeper("tolerant")
	tolerant.Annotations = annotations{tolerates: "true"}
	_, err = n.cri.Start(tolerant)
	must(t, err)
	defer ends(t, n.plugin(t))
	must(t, n.cri.StartContainer(waits))
	n.whole(t, n.cri, waits.ID, id, firstOfPool)
	n.gone(t, waits, tolerant)
}

// TestValidatorOfAPod is a pod that itself requires berth, on a node that does
// not.
func TestValidatorOfAPod(t *testing.T) {
	t.Parallel()
	n := validated(t, validator)
	n.plain(t)
	waits := n.sleeper("waits")
	waits.Annotations = maps.Clone(onLan)
	waits.Annotations[requires] = `["berth"]`
	id, err := n.cri.StartPod(waits)
	must(t, err)
	n.refusedContainer(t, waits)
	defer ends(t, n.plugin(t))
	must(t, n.cri.StartContainer(waits))
	n.whole(t, n.cri, waits.ID, id, firstOfPool)
	n.gone(t, waits)
}
