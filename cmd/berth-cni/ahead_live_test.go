package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"berth/internal/testnet"
)

// TestProberOfCNI requires that an ADD starts the berth-hook beside the plugin as a prober
// for the network, so that the next one need not wait.
func TestProberOfCNI(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	dir := t.TempDir()
	program, written := filepath.Join(dir, "berth-cni"), filepath.Join(dir, "written")
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		t.Fatalf("copy the test binary: %v\n%s", err, out)
	}
	testnet.Script(t, filepath.Join(dir, "berth-hook"), "echo \"$@\" > "+written)
	testnet.Script(t, n.plugins+"/berth-cni", fmt.Sprintf("%s=1 exec %s --config %s --state %s --bpffs %s",
		runCNI, program, n.dirs.Config, n.dirs.State, n.dirs.BPFFS))
	n.write(n.conf+"/lan.conflist", fmt.Sprintf(conflist, "1.1.0"), 0o644)
	_, path := n.newPod()
	n.mustTool(nil, "add", "cni-1.1.0", path)
	want := fmt.Sprintf("ahead %s %s lan\n", n.dirs.Config, n.dirs.State)
	testnet.Eventually(t, "a prober for the network", func() bool { got, _ := os.ReadFile(written); return string(got) == want })
	n.mustTool(nil, "del", "cni-1.1.0", path)
}
