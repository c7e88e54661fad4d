package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	oci "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sync/errgroup"

	"berth/specs"
	"berth/test/lab"
)

// networks are those of the page, each on a VLAN of its own.
var networks = []string{"office", "voice"}

// perNetwork is the number of containers on each network of a node.
const perNetwork = 2

// box is a container of this node.
type box struct{ id, network string }

// startAll starts the containers, at the same time.
func (n *node) startAll(ctx context.Context) (all []box, err error) {
	const rootfs = "/tmp/rootfs"
	if err := lab.Rootfs(rootfs); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, network := range networks {
		for i := range perNetwork {
			b := box{fmt.Sprintf("%s-%s%d", n.name, network, i+1), network}
			all = append(all, b)
			group.Go(func() error {
				note("starting container %s", b.id)
				return b.start(ctx, rootfs)
			})
		}
	}
	return all, group.Wait()
}

// start starts a container by runc, with berth's hook. The initramfs is no mount that pivot_root
// can leave.
func (b box) start(ctx context.Context, rootfs string) error {
	hook := oci.Hook{Path: "/berth/berth-hook", Args: []string{"berth-hook"}}
	bundle, dir := lab.Bundle{ID: b.id, Rootfs: rootfs, Args: []string{"sleep", "100000"},
		Annotations: map[string]string{"berth/networks": b.network},
		Hooks:       &oci.Hooks{CreateRuntime: []oci.Hook{hook}, Poststop: []oci.Hook{hook}}}, "/tmp/bundles/"+b.id
	if err := bundle.Write(dir); err != nil {
		return err
	}
	return withFiles(ctx, "runc", "run", "--no-pivot", "--detach", "--bundle", dir, b.id)
}

// withFiles runs a program that may leave a process with its output open.
func withFiles(ctx context.Context, name string, args ...string) error {
	_, err := lab.Terminal(exec.CommandContext(ctx, name, args...))
	return err
}

// testContainers waits for the containers of both nodes, and tests them.
func (n *node) testContainers(ctx context.Context, boxes []box) error {
	want := len(nodes) * len(networks) * perNetwork
	var s specs.ClusterStatus
	err := eventually(ctx, "the containers of both nodes", func() (err error) {
		s, err = n.client.Cluster(ctx)
		if err == nil && len(s.Attachments) != want {
			err = fmt.Errorf("the cluster has %d attachments, want %d; %s", len(s.Attachments), want, s.Error)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := mustBeUnique(s.Attachments); err != nil {
		return err
	}
	others := n.rowsOf(&s, false)
	if len(others) != want/2 {
		return fmt.Errorf("%d containers are on the other node, want %d: %+v", len(others), want/2, others)
	}
	for _, b := range boxes {
		for _, o := range others {
			if o.Network != b.network {
				continue
			}
			note("%s pings %s at %s", b.id, o.Container, o.Addresses[0])
			if err := b.ping(ctx, "-c", "1", "-W", "60", o.Addresses[0].String()); err != nil {
				return err
			}
		}
	}
	return n.testVLANs(ctx, boxes, others)
}

// mustBeUnique checks that no address, prefix of a network or MAC is given out twice.
func mustBeUnique(all []specs.ClusterAttachment) error {
	addresses, macs := map[netip.Addr]string{}, map[specs.MAC]string{}
	for _, a := range all {
		if len(a.Addresses) != 1 || len(a.Conflicts) > 0 {
			return fmt.Errorf("container %s has addresses %v and conflicts %q", a.Container, a.Addresses, a.Conflicts)
		}
		if other := addresses[a.Addresses[0]] + macs[a.MAC]; other != "" {
			return fmt.Errorf("%s has %s and %s, one of which %s has", a.Container, a.Addresses[0], a.MAC, other)
		}
		addresses[a.Addresses[0]], macs[a.MAC] = a.Container, a.Container
	}
	return nil
}

// ping runs ping in the container.
func (b box) ping(ctx context.Context, args ...string) error {
	return withFiles(ctx, "runc", append([]string{"exec", b.id, "ping"}, args...)...)
}

// testVLANs gives a container of the first VLAN an address of the second one's subnet. It reaches
// no container of the second VLAN.
func (n *node) testVLANs(ctx context.Context, boxes []box, others []specs.ClusterAttachment) error {
	if n.name != nodes[0].name {
		return nil
	}
	b := boxes[0]
	const inside = "198.51.100.254"
	if err := withFiles(ctx, "runc", "exec", b.id, "ip", "address", "add", inside+"/24", "dev", "net1"); err != nil {
		return err
	}
	for _, o := range others {
		if o.Network == b.network {
			continue
		}
		note("%s does not reach %s", b.id, o.Container)
		if b.ping(ctx, "-c", "2", "-W", "3", "-I", inside, o.Addresses[0].String()) == nil {
			return fmt.Errorf("%s reaches %s at %s in another VLAN", b.id, o.Container, o.Addresses[0])
		}
	}
	return nil
}

// stopAll deletes the containers. The VLANs, which berth made, end with them.
func (n *node) stopAll(ctx context.Context, boxes []box) error {
	for _, b := range boxes {
		if err := withFiles(ctx, "runc", "delete", "--force", b.id); err != nil {
			return err
		}
	}
	links, err := os.ReadDir("/sys/class/net")
	for _, link := range links {
		if strings.HasPrefix(link.Name(), n.parent+".") {
			err = errors.Join(err, fmt.Errorf("the VLAN %s is left", link.Name()))
		}
	}
	return err
}
