//go:build engines

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/test/lab"
)

// TestCRIPluginKilled ends berth-nri by SIGKILL. Pods keep their interfaces; a
// sandbox that starts meanwhile is attached with its first container;
// a pod that ends meanwhile is released when the plugin is back.
func TestCRIPluginKilled(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	d := n.startPlugin(t)
	kept, shown := n.startAttached(t, "kept", firstOfPool)
	ended := n.sleeper("ended")
	_, err := n.cri.Start(ended)
	must(t, err)
	must(t, d.Kill())
	n.expectReached(t, firstOfPool)
	must(t, n.cri.Stop(ended.ID))

	missed, late := n.sleeper("missed"), n.sleeper("late")
	_, err = n.cri.Start(missed) // it starts without berth, because nothing requires the plugin
	must(t, err)
	n.startUnattached(t, missed.ID)
	lateID, err := n.cri.StartPod(late)
	must(t, err)

	d = n.startPlugin(t)
	defer stopDaemon(t, d)
	after := n.expectWhole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	must(t, n.cri.StartContainer(late))
	n.expectWhole(t, n.cri, late.ID, lateID, secondOfPool)
	n.startUnattached(t, missed.ID)
	if err := n.cri.StartContainer(missed); err == nil || !strings.Contains(err.Error(), "delete the pod") {
		t.Errorf("a further container of a pod that runs without berth: %v, want it refused", err)
	}
	n.stopPods(t, kept, late, missed)
}

// TestCRIPluginFrozen stops berth-nri by SIGSTOP: the runtime starts a pod without
// it, and the plugin reconnects when it continues.
func TestCRIPluginFrozen(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	d := n.startPlugin(t)
	defer stopDaemon(t, d)
	kept, shown := n.startAttached(t, "kept", firstOfPool)
	was := n.cri.Plugged()
	must(t, d.Freeze())
	late := n.sleeper("late")
	id, err := n.cri.StartPod(late)
	must(t, err)
	must(t, d.Thaw())
	n.waitPlugged(t, was, d)
	must(t, n.cri.StartContainer(late))
	n.expectWhole(t, n.cri, late.ID, id, secondOfPool)
	n.expectWhole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
	n.stopPods(t, kept, late)
}

// TestCRITwoPlugins runs two instances of berth-nri, such as a service that was left
// beside a DaemonSet. Neither disturbs a pod or the other instance.
func TestCRITwoPlugins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	defer stopDaemon(t, n.startPlugin(t))
	other := n.startPlugin(t)
	c, shown := n.startAttached(t, "web", firstOfPool)
	stopDaemon(t, other)
	must(t, n.cri.Restart(c.ID))
	n.expectWhole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	n.stopPods(t, c)
}

// TestCRIPluginFirst starts berth-nri before containerd, as may happen at boot.
func TestCRIPluginFirst(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.cri.StopDaemon())
	was := n.cri.Plugged()
	d, err := n.cri.StartNRI()
	must(t, err)
	defer stopDaemon(t, d)
	must(t, n.cri.StartDaemon())
	n.waitPlugged(t, was, d)
	c, _ := n.startAttached(t, "web", firstOfPool)
	n.stopPods(t, c)
}

// TestCRIRuntimeRestarted ends the runtime, by SIGTERM and by SIGKILL, while pods
// run. The pods keep their interfaces and are released when they end, although
// containerd does not report the end of their sandboxes.
func TestCRIRuntimeRestarted(t *testing.T) {
	for name, end := range map[string]func(*lab.CRI) error{"stopped": (*lab.CRI).StopDaemon, "killed": (*lab.CRI).KillDaemon} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			d := n.startPlugin(t)
			defer stopDaemon(t, d)
			kept, shown := n.startAttached(t, "kept", firstOfPool)
			was := n.cri.Plugged()
			must(t, end(n.cri))
			n.expectReached(t, firstOfPool)
			must(t, n.cri.StartDaemon())
			n.waitPlugged(t, was, d)
			n.expectWhole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
			fresh, _ := n.startAttached(t, "fresh", secondOfPool)
			must(t, n.cri.Stop(kept.ID))
			must(t, lab.Eventually(30*time.Second, func() error {
				if all := n.ps(t); len(all) != 1 {
					return fmt.Errorf("berth ps shows %+v, want one pod", all)
				}
				return nil
			}))
			n.stopPods(t, fresh)
			_, err := n.Berth("network", "rm", "lan")
			must(t, err)
		})
	}
}
