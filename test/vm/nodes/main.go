// Command nodes runs on each of two machines that share a LAN: it follows the walk-through "Two
// nodes, two VLANs" of docs/cluster.md with etcd, berthd and containers of runc. Its argument is
// the page. The word berth.node of the kernel's command line is the name of the machine.
//
// The containers of the two nodes must reach each other in each VLAN, and in no other; no address
// and no MAC may be given out twice.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"berth/agent/client"
)

// limit is the deadline of all. Emulated processors under load are slow.
const limit = 10 * time.Minute

// node is one of the machines.
type node struct {
	name    string
	parent  string // as in the page
	address string // on the LAN without a VLAN
	client  *client.Client
}

var nodes = []node{
	{name: "rack1", parent: "eth1", address: "203.0.113.1"},
	{name: "rack2", parent: "enp3s0", address: "203.0.113.2"},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := runNode(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(1)
	}
}

func runNode(ctx context.Context) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("arguments %q: want the path of the page", os.Args[1:])
	}
	n, other, err := whichNode()
	if err != nil {
		return err
	}
	meeting, err := n.setUp(ctx)
	if err != nil {
		return err
	}
	defer meeting.Close()
	if err := n.createNetworks(ctx, os.Args[1]); err != nil {
		return err
	}
	boxes, err := n.startAll(ctx)
	if err != nil {
		return err
	}
	if err := n.testContainers(ctx, boxes); err != nil {
		return err
	}
	note("waiting for %s", other.name)
	if err := meet(ctx, meeting, other); err != nil {
		return err
	}
	return n.stopAll(ctx, boxes)
}

// whichNode returns this machine and the other one.
func whichNode() (n, other *node, err error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, nil, err
	}
	for i := range nodes {
		if strings.Contains(string(text), "berth.node="+nodes[i].name) {
			n, other = &nodes[i], &nodes[1-i]
			n.client = client.New("/run/berth")
			return n, other, nil
		}
	}
	return nil, nil, fmt.Errorf("the kernel's command line %q names no machine", text)
}

// note prints the next step.
func note(format string, args ...any) { fmt.Printf("nodes: "+format+"\n", args...) }

// eventually waits until a condition has no error. The error of the last try explains a timeout.
func eventually(ctx context.Context, what string, holds func() error) error {
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not yet: %s: %w", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
