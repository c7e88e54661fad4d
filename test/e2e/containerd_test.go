//go:build engines

package e2e

import (
	"strings"
	"testing"

	"berth/test/lab"
)

// TestContainerdDevice attaches a container by a CDI device of ctr, with runc itself.
// ctr reads the specifications of the whole machine, of which the lab has a copy. ctr of
// containerd 1.7 takes paths only.
func TestContainerdDevice(t *testing.T) {
	s := newServedSite(t)
	c := &lab.Containerd{Host: s.Host, Rootfs: rootfs, Plain: true}
	serveDaemon(t, c)
	_, err := s.Berth("install", "--engine", "cdi")
	must(t, err)
	before := s.snapshot(t)
	one := s.sleeper("device")
	one.Annotations = nil
	version, err := c.Version()
	must(t, err)
	id, err := c.StartWith(one, "--device", "berth/network=lan")
	if strings.HasPrefix(version, "1.") {
		if err == nil {
			t.Errorf("ctr %s takes a device of CDI", version)
		}
		return
	}
	must(t, err)
	s.expectWhole(t, c, one.ID, id, firstOfPool)
	must(t, c.Restart(one.ID))
	s.expectWhole(t, c, one.ID, id, firstOfPool)
	must(t, c.Stop(one.ID))
	s.expectNothingLeft(t, before)
	_, err = s.Berth("uninstall", "--engine", "cdi")
	must(t, err)
	if _, err := c.StartWith(one, "--device", "berth/network=lan"); err == nil {
		t.Error("uninstalled, ctr still has the device")
	}
	s.expectNothingLeft(t, before)
}

// TestContainerdKilled ends containerd by SIGKILL. Its containers keep their
// attachments. One that ends meanwhile is released when its task is removed.
func TestContainerdKilled(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	c := &lab.Containerd{Host: s.Host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc"}}
	serveDaemon(t, c)
	before := s.snapshot(t)
	kept, ended := s.sleeper("kept"), s.sleeper("ended")
	id, err := c.Start(kept)
	must(t, err)
	endedID, err := c.Start(ended)
	must(t, err)
	shown := s.expectWhole(t, c, kept.ID, id, firstOfPool)
	s.expectWhole(t, c, ended.ID, endedID, secondOfPool)
	pid := pidOf(t, c, ended.ID)
	must(t, c.KillDaemon())
	killProcess(t, pid)
	s.expectReached(t, firstOfPool)
	must(t, c.StartDaemon())
	after := s.expectWhole(t, c, kept.ID, id, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	must(t, c.Stop(ended.ID))
	must(t, c.Restart(kept.ID))
	s.expectWhole(t, c, kept.ID, id, firstOfPool)
	must(t, c.Stop(kept.ID))
	s.expectNothingLeft(t, before)
}
