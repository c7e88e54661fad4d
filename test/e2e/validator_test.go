//go:build engines

package e2e

import (
	"maps"
	"strings"
	"testing"

	"berth/test/lab"
)

// The settings in docs/engines/kubernetes.md for the validator of plugins, which
// containerd has from 2.2 on.
const (
	validator = `[plugins."io.containerd.nri.v1.nri".default_validator]
  enable = true
  tolerate_missing_plugins_annotation = "tolerate-missing-plugins.noderesource.dev"
`
	required = `  required_plugins = ["berth"]
`
)

// The annotations of pods for the validator.
const (
	tolerates = "tolerate-missing-plugins.noderesource.dev"
	requires  = "required-plugins.noderesource.dev"
)

// newValidatedNode returns a node with a validator, and a plugin that was killed.
func newValidatedNode(t *testing.T, settings string) *node {
	t.Helper()
	n := &node{site: newSite(t)}
	must(t, n.Network("lan", podLAN))
	n.agent(t)
	n.serveRuntime(t, settings)
	d := n.startPlugin(t)
	n.takeBaseline(t)
	must(t, d.Kill())
	return n
}

// expectRefusedContainer checks that a pod's container is refused without the plugin.
func (n *node) expectRefusedContainer(t *testing.T, c lab.Container) {
	t.Helper()
	if err := n.cri.StartContainer(c); err == nil || !strings.Contains(err.Error(), "berth") {
		t.Errorf("a container of %s without berth: %v, want it refused", c.ID, err)
	}
}

// TestValidatorOfTheNode uses a node that requires berth for each container: without
// the plugin only a pod that tolerates its absence starts, and with it the waiting
// pod gets its interface.
func TestValidatorOfTheNode(t *testing.T) {
	t.Parallel()
	n := newValidatedNode(t, validator+required)
	waits := n.sleeper("waits")
	id, err := n.cri.StartPod(waits)
	must(t, err)
	n.expectRefusedContainer(t, waits)
	tolerant := n.sleeper("tolerant")
	tolerant.Annotations = annotations{tolerates: "true"}
	_, err = n.cri.Start(tolerant)
	must(t, err)
	defer stopDaemon(t, n.startPlugin(t))
	must(t, n.cri.StartContainer(waits))
	n.expectWhole(t, n.cri, waits.ID, id, firstOfPool)
	n.stopPods(t, waits, tolerant)
}

// TestValidatorOfAPod runs a pod that requires berth itself, on a node that does
// not require it.
func TestValidatorOfAPod(t *testing.T) {
	t.Parallel()
	n := newValidatedNode(t, validator)
	n.runUnattached(t)
	waits := n.sleeper("waits")
	waits.Annotations = maps.Clone(onLan)
	waits.Annotations[requires] = `["berth"]`
	id, err := n.cri.StartPod(waits)
	must(t, err)
	n.expectRefusedContainer(t, waits)
	defer stopDaemon(t, n.startPlugin(t))
	must(t, n.cri.StartContainer(waits))
	n.expectWhole(t, n.cri, waits.ID, id, firstOfPool)
	n.stopPods(t, waits)
}
