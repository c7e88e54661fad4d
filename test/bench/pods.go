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
	all := []*starter{
		podStarter(node, "without an annotation", nil),
		podStarter(node, "on a network of berth's", map[string]string{"berth/networks": "lan"}),
	}
	if err := b.startByTurns(all); err != nil {
		return nil, err
	}
	return podsSection(all[0].sampled, all[1].sampled, b.rounds), nil
}

// podStarter returns a way to start pods, one after another, each with one container.
func podStarter(node *lab.CRI, how string, annotations map[string]string) *starter {
	n, id := 0, ""
	run := func() error {
		n++
		id = fmt.Sprintf("pod%d-%d", n, len(annotations))
		_, err := node.Start(lab.Container{ID: id, Args: []string{"sleep", "600"}, Annotations: annotations})
		return err
	}
	return &starter{engine: "containerd", how: how, run: run, end: func() error { return node.Stop(id) }}
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
