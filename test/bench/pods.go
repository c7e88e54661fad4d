package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"berth/test/lab"
)

// podGoal is the most that berth may add to the start of a pod, as a ratio.
const podGoal = 1.05

// benchPods measures starts of pods by containerd as on a node of Kubernetes: a kubelet's three
// requests, by crictl. The plugin is connected throughout.
func benchPods(b *bench) (*section, error) {
	for _, program := range []string{"containerd", "crictl"} {
		if _, err := exec.LookPath(program); err != nil {
			s := &section{how: "Starts of pods by containerd."}
			s.fact("Left out: %s is not installed here.", program)
			return s, nil
		}
	}
	node, stop, err := b.newNode()
	defer stop()
	if err != nil {
		return nil, err
	}
	kinds := []map[string]string{nil, {"berth/networks": "lan"}} // annotations
	times := make([]durations, len(kinds))
	for round := range b.rounds + warmUp {
		b.step(round, b.rounds+warmUp)
		for i := range kinds {
			k := (i + round) % len(kinds)
			pod := lab.Container{ID: fmt.Sprintf("pod%d-%d", round, k), Args: []string{"sleep", "600"}, Annotations: kinds[k]}
			begin := time.Now()
			_, err := node.Start(pod)
			took := time.Since(begin)
			if err != nil {
				return nil, err
			}
			if round >= warmUp {
				times[k] = append(times[k], took)
			}
			if err := node.Stop(pod.ID); err != nil {
				return nil, err
			}
		}
	}
	return podsSection(times[0], times[1], b.rounds), nil
}

// newNode starts containerd with berth-nri on a host of its own, with an agent. stop must be called,
// also after an error.
func (b *bench) newNode() (node *lab.CRI, stop func(), err error) {
	var stops []func() error
	stop = func() {
		for i := range stops {
			_ = stops[len(stops)-1-i]() // the host's processes end with the bench
		}
	}
	host, _, err := b.newHost("pods")
	if err != nil {
		return nil, stop, err
	}
	rootfs := filepath.Join(host.Dir, "rootfs")
	lan := "default_route = false\n" + berthNetwork(berthSubnet, probeMost) // a pod's is that of eth0
	if err := errors.Join(host.Network("lan", lan), lab.Rootfs(rootfs)); err != nil {
		return nil, stop, err
	}
	agent, err := host.StartAgent("--metrics", "")
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, agent.Stop)
	node = &lab.CRI{Server: &lab.ContainerdCRI{Containerd: lab.Containerd{Host: host, Rootfs: rootfs}}}
	if err := node.StartDaemon(); err != nil {
		return nil, stop, err
	}
	stops = append(stops, node.StopDaemon)
	plugin, err := node.StartNRI()
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, plugin.Stop)
	return node, stop, lab.Eventually(30*time.Second, func() error {
		if node.Plugged() == 0 {
			return errors.New("containerd has not connected berth-nri")
		}
		return nil
	})
}

func podsSection(without, with durations, rounds int) *section {
	s := &section{
		how: fmt.Sprintf("The time to start a pod with one container by containerd and crictl, one pod after another, with "+
			"berth-nri connected: pods without an annotation, and pods on a network of berth's with "+
			"conflict_timeout = %q. Medians of %d rounds.", probeMost, rounds),
		head: []string{"", "without", "with berth", "ratio", "fastest tenth"},
	}
	fastest := ratio(quantile(with, 0.1), quantile(without, 0.1))
	s.judge(fmt.Sprintf("≤ %.2f×", podGoal), fastest <= podGoal, "a pod", ms(median(without)), ms(median(with)),
		fold(ratio(median(with), median(without))), fold(fastest))
	return s
}
