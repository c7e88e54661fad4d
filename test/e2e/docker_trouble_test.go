//go:build engines

package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/specs"
	"berth/test/lab"
)

// TestNetworkOfDockerAway stops the driver and its socket, as `systemctl mask --now` does, while a
// container runs. docker starts no other one and names the driver; the first one keeps its
// interface, and both work when the driver is back.
func TestNetworkOfDockerAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web, late := s.onDocker("web", "name=lan"+ifnameNet1), s.onDocker("late", "name=lan"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	must(t, d.driver.Stop())
	if _, err := os.Stat(d.socket()); err == nil { // systemd's RemoveOnStop=
		must(t, os.Remove(d.socket()))
	}
	if _, err = d.Start(late); err == nil || !strings.Contains(err.Error(), d.name) {
		t.Errorf("without its driver: %v", err)
	}
	t.Logf("docker run: %v", err)
	if err = d.create("more", "--subnet", "192.0.2.0/24", "--opt", "network=lan"); err == nil {
		t.Errorf("a network is created without its driver")
	}
	t.Logf("docker network create: %v", err)
	s.expectReached(t, firstOfPool)
	d.start(t)
	lateID, err := d.Start(late)
	must(t, err)
	d.expectInspected(t, late.ID, "lan", s.expectWhole(t, d.Docker, late.ID, lateID, secondOfPool))
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	for _, c := range []lab.Container{web, late} {
		must(t, d.Stop(c.ID))
	}
	s.expectNothingLeft(t, before)
}

// smallDisk mounts a file system of a megabyte at a directory, for the rest of the test.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("small", dir, "tmpfs", 0, "size=1m,mode=711"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// fillDisk fills the file system of a directory, and returns a function that makes room again.
func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	if _, err := io.Copy(f, io.LimitReader(zeros{}, 2<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filled %s: %v", dir, err)
	}
	return func() { must(t, os.Remove(path)) }
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestNetworkOfDockerFull fills the file systems of the driver's networks and of the records. What
// needs room fails with that reason, a container that runs can end, and nothing is lost.
func TestNetworkOfDockerFull(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	smallDisk(t, s.State)
	networks := filepath.Join(s.Dir, "docker-networks")
	smallDisk(t, networks)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	lan := []string{"--subnet", "192.0.2.0/24", "--opt", "network=lan"}
	free := fillDisk(t, networks)
	if err := d.create("lan", lan...); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("a network on a full disk: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(networks, "*.json")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	free()
	must(t, d.create("lan", lan...))
	web := s.onDocker("web", "name=lan"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	free = fillDisk(t, s.State)
	more := s.startUntilFull(t, d)
	s.expectReached(t, firstOfPool)
	d.expectInspected(t, web.ID, "lan", s.expectWhole(t, d.Docker, web.ID, id, firstOfPool))
	must(t, d.Stop(web.ID))
	free()
	for _, one := range more {
		must(t, d.Stop(one))
	}
	must(t, d.Restart(s.startLast(t, d)))
	must(t, d.Stop(s.id("last")))
	s.expectNothingLeft(t, before)
}

// startUntilFull starts containers until one fails because the disk is full. Records that fit into
// free pages of the database need no room.
func (s *site) startUntilFull(t *testing.T, d *dockerDriver) (started []string) {
	t.Helper()
	for i := range 40 {
		c := s.onDocker(fmt.Sprint("more", i), "name=lan"+ifnameNet1)
		_, err := d.Start(c)
		if err == nil {
			started = append(started, c.ID)
			continue
		}
		t.Logf("after %d containers: %v", len(started), err)
		if !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("on a full disk: %v", err)
		}
		return started
	}
	t.Errorf("%d containers start on a full disk", len(started))
	return started
}

func (s *site) startLast(t *testing.T, d *dockerDriver) string {
	t.Helper()
	last := s.onDocker("last", "name=lan"+ifnameNet1)
	_, err := d.Start(last)
	must(t, err)
	return last.ID
}

// TestNetworkOfDockerForged forges the MAC of a container on a network of docker: the violation names
// the container, as with the hook.
func TestNetworkOfDockerForged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	web := s.onDocker("web", "name=lan"+ifnameNet1)
	id, err := d.Start(web)
	must(t, err)
	own := s.expectWhole(t, d.Docker, web.ID, id, firstOfPool).MAC
	const forged = "02:00:5e:00:53:66"
	_, err = d.Exec(web.ID, "ip", "link", "set", "net1", "address", forged)
	must(t, err)
	_, _ = d.Exec(web.ID, "ping", "-c", "2", "-W", "1", neighborIP) // whether an answer arrives does not matter
	must(t, lab.Eventually(time.Minute, func() error {
		for _, e := range s.events(t) {
			if e.Kind == specs.MACSpoof && e.MAC.String() == forged && e.Sender != nil && e.Sender.ContainerID == id && e.Sender.MAC == own {
				return nil
			}
		}
		return fmt.Errorf("no mac-spoof by %s: %+v", id, s.events(t))
	}))
	if shown := findEndpoint(t, s.ps(t), id); shown.Violations[specs.MACSpoof] == 0 {
		t.Errorf("berth ps shows %+v, want a violation", shown)
	}
	must(t, d.Stop(web.ID))
	s.expectReleased(t)
}
