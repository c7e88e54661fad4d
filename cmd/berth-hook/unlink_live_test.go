package main

import (
	"os"
	"testing"

	"berth/internal/testnet"
	"berth/network"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == unlinkStage { // started by startUnlink, in a test
		os.Exit(runUnlink(os.Args[2:]))
	}
	testnet.Main(m)
}

// TestUnlinkProcess deletes a link by a separate process.
func TestUnlinkProcess(t *testing.T) {
	t.Parallel()
	parent := testnet.Unique("p")
	testnet.Veth(t, parent, testnet.Here(t), "wire", testnet.Namespace(t))
	there := testnet.Namespace(t)
	testnet.Run(t, testnet.Here(t), "ip", "link", "add", "link", parent, "name", "net1", "netns", there.Path(), "type", "macvlan", "mode", "bridge")
	testnet.Run(t, there, "ip", "link", "property", "add", "dev", "net1", "altname", "berth:test-of-unlink")
	ns, err := network.OpenPath(there.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	host, err := network.NewHandle()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	nsid, err := host.AssignNSID(ns)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := host.LinkIn(nsid, "net1"); err != nil {
		t.Fatal(err)
	}
	if err := startUnlink(nsid, "berth:test-of-unlink"); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the link is gone", func() bool {
		_, err := host.LinkIn(nsid, "net1")
		return err != nil
	})
}

func TestUnlinkArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"1"}, {"1", "a", "b"}, {"x", "a"}} {
		if runUnlink(args) == 0 {
			t.Errorf("unlink %q succeeded", args)
		}
	}
}
