package traffic

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/specs"
	"berth/test/lab"
)

// cniPlugins is the directory of Debian's containernetworking-plugins.
const cniPlugins = "/usr/lib/cni"

// addCNI adds a container on a network of each of CNI's plugins. host-local gives the addresses.
func (s *Site) addCNI(add func(Other)) {
	add(Other{parent: "eth1", Mode: specs.ModeBridge, start: s.startCNI, stop: s.stopCNI})
	if s.hasIPvlan() {
		add(Other{parent: "eth6", Mode: specs.ModeL2, start: s.startCNI, stop: s.stopCNI})
	}
}

func (s *Site) startCNI(o *Other) error {
	if err := o.startProcess(); err != nil {
		return err
	}
	o.IfName = "net1"
	return s.runCNI("ADD", o)
}

func (s *Site) stopCNI(o *Other) error { return errors.Join(s.runCNI("DEL", o), o.endProcess()) }

// runCNI runs a plugin as a runtime does.
func (s *Site) runCNI(verb string, o *Other) error {
	plugin, range4 := "macvlan", "192.0.2.176"
	if o.Mode == specs.ModeL2 {
		plugin, range4 = "ipvlan", "192.0.2.180"
	}
	config := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"%[1]s-%[2]s","type":%[2]q,"master":%[3]q,"mode":%[4]q,`+
		`"ipam":{"type":"host-local","dataDir":%[5]q,"routes":[{"dst":"0.0.0.0/0"}],`+
		`"ranges":[[{"subnet":"192.0.2.0/24","rangeStart":%[6]q,"gateway":%[7]q}]]}}`,
		s.Host.Name, plugin, o.parent, o.Mode, filepath.Join(s.Host.Dir, "cni"), range4, routerV4)
	cmd := s.Host.Command(context.Background(), filepath.Join(cniPlugins, plugin))
	cmd.Stdin = strings.NewReader(config)
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + o.ID, "CNI_NETNS=" + o.Path, "CNI_IFNAME=" + o.IfName,
		"CNI_PATH=" + cniPlugins, "PATH=" + os.Getenv("PATH")}
	_, err := lab.Output(cmd)
	return err
}

// engineNetwork is the name of the network of each engine.
const engineNetwork = "own"

// engineFlags are the arguments with which an engine creates its network. first is the last byte of
// the first of its eight addresses.
func engineFlags(first string) []string {
	return []string{"network", "create", "--driver", "macvlan", "--opt", "parent=eth1", "--ipv6",
		"--subnet", "192.0.2.0/24", "--gateway", routerV4, "--ip-range", "192.0.2." + first + "/29",
		"--subnet", "2001:db8:1::/64", "--gateway", routerV6, "--ip-range", "2001:db8:1::" + first + "0/124", engineNetwork}
}

// rootfs returns the root file system of the engines' containers.
func (s *Site) rootfs() (string, error) {
	dir := filepath.Join(s.Host.Dir, "rootfs")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, lab.Rootfs(dir)
}

// addPodman makes a macvlan network of podman, and adds a container on it, and one that is on
// berth's too.
func (s *Site) addPodman(add func(Other)) error {
	rootfs, err := s.rootfs()
	if err != nil {
		return err
	}
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	if err := p.Setup(); err != nil {
		return err
	}
	if _, err := p.Client(engineFlags("168")...); err != nil {
		return err
	}
	s.addEngine(add, p, p.Client, "beside")
	return nil
}

// addDocker starts docker, and does the same with it.
func (s *Site) addDocker(add func(Other)) error {
	rootfs, err := s.rootfs()
	if err != nil {
		return err
	}
	d := &lab.Docker{Host: s.Host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc"}}
	if err := d.StartDaemon(); err != nil {
		return err
	}
	s.stopPrograms = append(s.stopPrograms, d.StopDaemon)
	if _, err := d.Client(engineFlags("160")...); err != nil {
		return err
	}
	s.addEngine(add, d, d.Client, "apart") // docker refuses an address whose subnet another interface has
	return nil
}

// addEngine adds a container on an engine's own network, and one that is on a network of berth's too.
// client runs the engine's command line.
func (s *Site) addEngine(add func(Other), e lab.Engine, client func(...string) (string, error), berths string) {
	reconnect := func(o *Other) error {
		_, left := client("network", "disconnect", engineNetwork, o.ID)
		stale := o.dropLeftRoute()
		_, joined := client("network", "connect", engineNetwork, o.ID)
		return errors.Join(left, stale, joined)
	}
	for _, network := range []string{"", berths} {
		c := lab.Container{Args: []string{"sleep", "infinity"}, Network: engineNetwork}
		if network != "" {
			c.Annotations = map[string]string{"berth/networks": network}
		}
		add(Other{parent: "eth1", Mode: specs.ModeBridge, hasBerths: network == "beside",
			start: func(o *Other) error { return o.startBy(e, &c) }, stop: func(*Other) error { return nil },
			reconnect: reconnect})
		s.stopPrograms = slices.Insert(s.stopPrograms, 0, func() error {
			if c.ID == "" {
				return nil
			}
			return e.Stop(c.ID)
		})
	}
}

// dropLeftRoute deletes the default route that podman leaves when it disconnects a container that is on
// a network of berth's with the same subnet too. netavark names no interface in its default route, so
// the kernel takes the first interface with that subnet, which is berth's after a connection; the route
// then outlives the disconnection, and the next connection fails by "File exists". The same happens
// with an interface that ip(8) made (netavark 1.17, podman 5.8).
func (o *Other) dropLeftRoute() error {
	if !o.hasBerths {
		return nil
	}
	_, err := o.IP("-4", "route", "flush", "exact", "default", "dev", berthsName)
	return err
}

// startBy starts a container by an engine or, if it has started before, restarts it.
func (o *Other) startBy(e lab.Engine, c *lab.Container) (err error) {
	if c.ID == "" {
		c.ID = o.ID
		_, err = e.Start(*c)
	} else {
		err = e.Restart(c.ID)
	}
	if err != nil {
		return err
	}
	pid, err := e.PID(c.ID)
	o.Path = namespaceOf(pid)
	return err
}
