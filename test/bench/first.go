package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"berth/internal/state"
	"berth/test/lab"
)

// firstGoal is the most that the probe may add to the first start of an idle host, as a ratio.
const firstGoal = 1.3

// wayToStart is a way to start a container on a network. end removes it, unless start did.
type wayToStart struct {
	what  string
	goal  bool
	start func(network, id string) error
	end   func(id string) error
}

// benchFirst measures the first start of an idle host: no address has been seen free before.
// berth-runtime starts the probe when the container is created, and the hook waits for the rest.
func benchFirst(b *bench) (*section, error) {
	s := &section{
		how: fmt.Sprintf("The time to start a container by berth-runtime on a host that has seen no address free: on a "+
			"network without a probe, and on one with conflict_timeout = %q, whose probe berth-runtime starts when the "+
			"container is created; the resident berth-hook attaches it. podman and docker are measured by `run --rm … true`, "+
			"runc by its calls create and start. Medians of %d rounds.", probeMost, b.rounds),
		head: []string{"", "no probe", "probing", "ratio", "fastest tenth"},
	}
	host, _, err := b.newHost("first")
	if err != nil {
		return nil, err
	}
	rootfs := filepath.Join(host.Dir, "rootfs")
	if err := errors.Join(lab.Rootfs(rootfs), host.Network("blind", berthNetwork(berthSubnet, 0)),
		host.Network("lan", berthNetwork(berthSubnet, probeMost)), serveHook(host)); err != nil {
		return nil, err
	}
	ways, stop, err := firstWays(host, rootfs, s)
	defer stop()
	if err != nil {
		return nil, err
	}
	for i, way := range ways {
		times, err := b.firstStarts(host, way, i, len(ways))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.what, err)
		}
		without, with := times[0], times[1]
		fastest := ratio(quantile(with, 0.1), quantile(without, 0.1))
		row := []string{way.what, ms(median(without)), ms(median(with)), fold(ratio(median(with), median(without))),
			fold(fastest)}
		if way.goal {
			s.judge(fmt.Sprintf("≤ %.1f×", firstGoal), fastest <= firstGoal, row...)
		} else {
			s.addRow(row...)
		}
	}
	return s, nil
}

// firstWays returns the ways of the installed engines, and those of runc alone; the others are facts
// of s. stop ends an engine's daemon.
func firstWays(host *lab.Host, rootfs string, s *section) (ways []wayToStart, stop func(), err error) {
	stop, wrapper := func() {}, lab.Wrapper{Runtime: "runc"}
	none := func(string) error { return nil }
	installed := func(program string) bool {
		_, err := exec.LookPath(program)
		if err != nil {
			s.fact("Left out: %s is not installed here.", program)
		}
		return err == nil
	}
	if installed("podman") {
		p := &lab.Podman{Host: host, Rootfs: rootfs, Wrapper: wrapper}
		if err := errors.Join(os.MkdirAll(filepath.Join(host.Dir, "podman", "networks"), 0o755), p.Setup()); err != nil {
			return nil, stop, err
		}
		ways = append(ways, wayToStart{what: "podman run", goal: true, start: func(network, _ string) error {
			_, err := p.Client("run", "--rm", "--network", "none", "--annotation", "berth/networks="+network,
				"--rootfs", rootfs, "/bin/true")
			return err
		}, end: none})
	}
	if installed("dockerd") {
		d := &lab.Docker{Host: host, Rootfs: rootfs, Wrapper: wrapper}
		if err := d.StartDaemon(); err != nil {
			return nil, stop, err
		}
		stop = func() { _ = d.StopDaemon() } // the host's processes end with the bench
		ways = append(ways, wayToStart{what: "docker run", goal: true, start: func(network, _ string) error {
			_, err := d.Client("run", "--rm", "--runtime", "berth", "--network", "none", "--annotation",
				"berth/networks="+network, "lab", "/bin/true")
			return err
		}, end: none})
	}
	if installed("runc") {
		ways = append(ways, byRunc(host, rootfs, "runc alone", false),
			byRunc(host, rootfs, "runc alone, attached at start", true))
	}
	return ways, stop, nil
}

// byRunc starts containers by runc behind berth-runtime, attached at their creation or at their start.
func byRunc(host *lab.Host, rootfs, what string, late bool) wayToStart {
	r := &lab.Runc{Host: host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc", Late: late}}
	return wayToStart{what: what, start: func(network, id string) error {
		_, err := r.Start(lab.Container{ID: id, Args: []string{"sleep", "600"},
			Annotations: map[string]string{"berth/networks": network}})
		return err
	}, end: r.Stop}
}

// firstStarts returns the times of starts on the networks blind and lan, in turns. Before each, the
// host's state is removed. It is way number done of a number of ways.
func (b *bench) firstStarts(host *lab.Host, way wayToStart, done, of int) (times [2]durations, err error) {
	rounds := b.rounds + warmUp
	for round := range rounds {
		b.step(done*rounds+round, of*rounds)
		for i := range times {
			k := (i + round) % len(times)
			if err := forget(host); err != nil {
				return times, err
			}
			id := fmt.Sprintf("first%d-%d-%d", done, round, k)
			begin := time.Now()
			err := way.start([]string{"blind", "lan"}[k], id)
			took := time.Since(begin)
			if err != nil {
				return times, err
			}
			if round >= warmUp {
				times[k] = append(times[k], took)
			}
			if err := way.end(id); err != nil {
				return times, err
			}
			<-time.After(settle + probeMost) // the prober ends, too
		}
	}
	return times, nil
}

// forget removes the state of a host but for its directories, which an agent makes at the boot.
func forget(host *lab.Host) error {
	dir := filepath.Join(host.State, "state")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return state.Open(host.State).Prepare()
}
