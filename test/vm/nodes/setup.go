package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/specs"
)

// etcdURL is that of etcd on the first node.
var etcdURL = "http://" + nodes[0].address + ":2379"

// setUp configures the machine's card, etcd on the first node, and berthd. It returns the listener
// at which the other node reports that it is done.
func (n *node) setUp(ctx context.Context) (net.Listener, error) {
	if err := unix.Sethostname([]byte(n.name)); err != nil {
		return nil, err
	}
	for _, args := range []string{"link set lo up", "link set eth0 name " + n.parent, "link set " + n.parent + " up",
		"address add " + n.address + "/24 dev " + n.parent} {
		if err := execute(ctx, "ip", strings.Fields(args)...); err != nil {
			return nil, err
		}
	}
	meeting, err := net.Listen("tcp", net.JoinHostPort(n.address, "9000"))
	if err != nil {
		return nil, err
	}
	if n.name == nodes[0].name {
		if err := startDaemon("etcd", "--data-dir", "/tmp/etcd", "--log-level", "error", "--unsafe-no-fsync",
			"--listen-peer-urls", "http://127.0.0.1:0", "--listen-client-urls", etcdURL,
			"--advertise-client-urls", etcdURL); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll("/etc/berth", 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("[cluster]\netcd = [%q]\n", etcdURL)
	if err := os.WriteFile("/etc/berth/berth.toml", []byte(text), 0o644); err != nil {
		return nil, err
	}
	if err := startDaemon("/berth/berthd"); err != nil {
		return nil, err
	}
	return meeting, eventually(ctx, "etcd answers", func() error {
		s, err := n.client.Cluster(ctx)
		if err == nil && s.Error != "" {
			err = errors.New(s.Error)
		}
		return err
	})
}

// startDaemon starts a program that ends with the machine.
func startDaemon(name string, args ...string) error {
	note("starting %s", filepath.Base(name))
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Start()
}

// createNetworks runs the commands of the page for this node, and waits for addresses.
func (n *node) createNetworks(ctx context.Context, page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	commands := 0
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), n.name+"# berth ")
		if !ok {
			continue
		}
		if strings.Contains(command, "--ip-range") {
			return fmt.Errorf("the command %q divides the range by hand", command)
		}
		note("berth %s", command)
		if err := execute(ctx, "/berth/berth", strings.Fields(command)...); err != nil {
			return err
		}
		commands++
	}
	if commands != len(networks) {
		return fmt.Errorf("the page has %d commands for %s, want %d", commands, n.name, len(networks))
	}
	return eventually(ctx, "free addresses of each network", func() error {
		s, err := n.client.Cluster(ctx)
		if err != nil {
			return err
		}
		ready := 0
		for _, p := range s.Pools {
			if p.FreeHere > 0 && p.Error == "" {
				ready++
			}
		}
		if ready != len(networks) {
			err = fmt.Errorf("the pools are %+v; %s", s.Pools, s.Error)
		}
		return err
	})
}

// execute runs a program. Its error has the output.
func execute(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// meet returns when both nodes have called it.
func meet(ctx context.Context, here net.Listener, other *node) error {
	met := make(chan error, 1)
	go func() {
		c, err := here.Accept()
		if err == nil {
			err = c.Close()
		}
		met <- err
	}()
	if err := eventually(ctx, other.name+" is done", func() error {
		c, err := net.Dial("tcp", net.JoinHostPort(other.address, "9000"))
		if err != nil {
			return err
		}
		return c.Close()
	}); err != nil {
		return err
	}
	select {
	case err := <-met:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s has not called: %w", other.name, ctx.Err())
	}
}

// rowsOf returns the attachments of the cluster that are on a node, or on another one.
func (n *node) rowsOf(s *specs.ClusterStatus, here bool) (all []specs.ClusterAttachment) {
	for _, a := range s.Attachments {
		if (a.Node == n.name) == here {
			all = append(all, a)
		}
	}
	return all
}
