package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"berth/test/lab"
)

// starter is one way to run a container that ends at once, or that end ends.
type starter struct {
	engine  string
	how     string
	run     func() error
	end     func() error // not measured; may be nil
	sampled durations
}

// startByTurns measures each way to start in each round. The first one of a round moves on by one.
func (b *bench) startByTurns(all []*starter) error {
	rounds := b.rounds + warmUp
	for round := range rounds {
		b.step(round, rounds)
		for i := range all {
			one := all[(i+round)%len(all)]
			begin := time.Now()
			err := one.run()
			took := time.Since(begin)
			if err == nil && one.end != nil {
				err = one.end()
			}
			if err != nil {
				return fmt.Errorf("%s, %s: %w", one.engine, one.how, err)
			}
			if round >= warmUp {
				one.sampled = append(one.sampled, took)
			}
		}
	}
	return nil
}

// engineSubnet is that of an engine's own macvlan network, on the same parent.
const engineSubnet = "203.0.113.0/24"

// benchEngines measures whole starts by real engines, with berth beside the engine's own
// macvlan. The probe is on, as by default.
func benchEngines(b *bench) (*section, error) {
	host, _, err := b.newHost("engines")
	if err != nil {
		return nil, err
	}
	if err := host.Network("lan", berthNetwork(berthSubnet, probeMost)); err != nil {
		return nil, err
	}
	rootfs := filepath.Join(host.Dir, "rootfs")
	if err := lab.Rootfs(rootfs); err != nil {
		return nil, err
	}
	if err := serveHook(host); err != nil {
		return nil, err
	}
	all, stop, left, err := engineStarters(host, rootfs)
	defer stop()
	if err != nil {
		return nil, err
	}
	if err := b.startByTurns(all); err != nil {
		return nil, err
	}
	return enginesSection(all, left, b.rounds), nil
}

// engineStarters returns the ways of each engine that is installed: its own macvlan first,
// then those of berth. left lists the others.
func engineStarters(host *lab.Host, rootfs string) (all []*starter, stop func(), left []string, err error) {
	stop = func() {}
	if _, err := exec.LookPath("podman"); err != nil {
		left = append(left, "podman")
	} else if all, err = podmanStarters(host, rootfs); err != nil {
		return nil, stop, nil, err
	}
	var stops []func()
	stop = func() {
		for _, one := range stops {
			one()
		}
	}
	for _, e := range []struct {
		name, program string
		make          func(*lab.Host, string) ([]*starter, func(), error)
	}{{"docker", "dockerd", dockerStarters}, {"nerdctl", "nerdctl", nerdctlStarters}} {
		if _, err := exec.LookPath(e.program); err != nil {
			left = append(left, e.name)
			continue
		}
		some, end, err := e.make(host, rootfs)
		all, stops = append(all, some...), append(stops, end)
		if err != nil {
			return nil, stop, nil, err
		}
	}
	return all, stop, left, nil
}

func podmanStarters(host *lab.Host, rootfs string) ([]*starter, error) {
	p := &lab.Podman{Host: host, Rootfs: rootfs}
	if err := errors.Join(os.MkdirAll(filepath.Join(host.Dir, "podman", "networks"), 0o755), p.Setup()); err != nil {
		return nil, err
	}
	if _, err := p.Client("network", "create", "--driver", "macvlan", "--opt", "parent=eth1", "--subnet", engineSubnet,
		"own"); err != nil {
		return nil, err
	}
	run := func(flags ...string) func() error {
		return func() error {
			_, err := p.Client(append(append([]string{"run", "--rm"}, flags...), "--rootfs", rootfs, "/bin/true")...)
			return err
		}
	}
	door, err := podmanDoor(p)
	return []*starter{
		{engine: "podman", how: "its own macvlan", run: run("--network", "own")},
		{engine: "podman", how: "berth, by annotation",
			run: run("--network", "none", "--annotation", "berth/networks=lan")},
		{engine: "podman", how: door, run: run("--network", "lan")},
	}, err
}

// podmanDoor makes berth's network one of podman's, by CNI or by a plugin of netavark.
func podmanDoor(p *lab.Podman) (string, error) {
	if isCNI, err := p.UseCNI("lan"); isCNI || err != nil {
		return "berth, by CNI", err
	}
	_, err := p.Client("network", "create", "--driver", "berth", "--opt", "network=lan", "lan")
	return "berth, by a network of podman", err
}

func dockerStarters(host *lab.Host, rootfs string) (all []*starter, stop func(), err error) {
	d := &lab.Docker{Host: host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc"}}
	if err := d.StartDaemon(); err != nil {
		return nil, func() {}, err
	}
	stop = func() { _ = d.StopDaemon() } // the host's processes end with the bench
	if _, err := d.Client("network", "create", "--driver", "macvlan", "--opt", "parent=eth1", "--subnet", engineSubnet,
		"own"); err != nil {
		return nil, stop, err
	}
	run := func(flags ...string) func() error {
		return func() error {
			_, err := d.Client(append(append([]string{"run", "--rm"}, flags...), "lab", "/bin/true")...)
			return err
		}
	}
	all = []*starter{
		{engine: "docker", how: "its own macvlan", run: run("--network", "own")},
		{engine: "docker", how: "berth, by annotation",
			run: run("--runtime", "berth", "--network", "none", "--annotation", "berth/networks=lan")},
		{engine: "docker", how: "berth, by a network of docker", run: run("--network", "lan")},
	}
	driver, err := dockerDoor(host, d)
	if driver == nil {
		return all, stop, err
	}
	if err == nil && all[2].run() != nil {
		all = all[:2] // docker 27 and 26.1 start no container on such a network
	}
	return all, func() { _, _ = d.StopDaemon(), driver.Stop() }, err
}

// dockerDoor starts docker's driver, and makes berth's network one of docker's.
func dockerDoor(host *lab.Host, d *lab.Docker) (*lab.Daemon, error) {
	name := "berth-" + filepath.Base(host.Dir)
	program, log := filepath.Join(host.Bin, "berth-docker"), filepath.Join(host.Dir, "berth-docker.log")
	driver, err := host.Start(log, program, append(host.Flags(), "--socket", "/run/docker/plugins/"+name+".sock",
		"--networks", filepath.Join(host.Dir, "docker-networks"))...)
	if err != nil {
		return nil, err
	}
	return driver, lab.Eventually(30*time.Second, func() error { // until the driver listens
		_, err := d.Client("network", "create", "--driver", name, "--ipam-driver", name,
			"--subnet", berthSubnet.String(), "--opt", "network=lan", "lan")
		return err
	})
}

func nerdctlStarters(host *lab.Host, rootfs string) (all []*starter, stop func(), err error) {
	n := &lab.Nerdctl{Containerd: lab.Containerd{Host: host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc"}}}
	if err := n.StartDaemon(); err != nil {
		return nil, func() {}, err
	}
	stop = func() { _ = n.StopDaemon() } // the host's processes end with the bench
	plain := *n
	plain.Plain = true
	wrapped, err := n.Program()
	if err != nil {
		return nil, stop, err
	}
	unwrapped, err := plain.Program()
	if err != nil {
		return nil, stop, err
	}
	if _, err := n.Client("network", "create", "--driver", "macvlan", "--opt", "parent=eth1", "--subnet", engineSubnet,
		"own"); err != nil {
		return nil, stop, err
	}
	run := func(runtime string, flags ...string) func() error {
		return func() error {
			_, err := n.Client(append(append([]string{"run", "--rm", "--pull", "never", "--runtime", runtime}, flags...),
				lab.ImageName, "/bin/true")...)
			return err
		}
	}
	return []*starter{
		{engine: "nerdctl", how: "its own macvlan", run: run(unwrapped, "--network", "own")},
		{engine: "nerdctl", how: "berth, by annotation",
			run: run(wrapped, "--network", "none", "--annotation", "berth/networks=lan")},
		{engine: "nerdctl", how: "berth, by CNI", run: run(unwrapped, "--network", "lan")},
	}, stop, n.UseCNI("lan")
}

func enginesSection(all []*starter, left []string, rounds int) *section {
	s := &section{
		how: fmt.Sprintf("The time of `podman run --rm … true`, of docker's and of nerdctl's, on the engine's own macvlan "+
			"network, and with berth and conflict_timeout = %q: medians of %d rounds. By annotation, the resident berth-hook "+
			"does the work.", probeMost, rounds),
		head: []string{"", "its own macvlan", "berth", "ratio", "fastest tenth"},
	}
	var own *starter
	for _, ours := range all {
		if own == nil || own.engine != ours.engine {
			own = ours // the first one of each engine
			continue
		}
		fastest := ratio(quantile(ours.sampled, 0.1), quantile(own.sampled, 0.1))
		s.judge("≤ 1.00×", fastest <= 1, ours.engine+": "+ours.how, ms(median(own.sampled)), ms(median(ours.sampled)),
			fold(ratio(median(ours.sampled), median(own.sampled))), fold(fastest))
	}
	for _, engine := range left {
		s.fact("%s is left out: it is not installed here.", engine)
	}
	return s
}
