package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"berth/internal/testnet"
)

func TestMounts(t *testing.T) {
	const table = "24 1 0:21 / / rw,relatime - ext4 /dev/vda rw\n" +
		"30 24 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n" +
		"31 24 0:27 / /sys/fs/cgroup/cpu rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n" +
		"32 24 0:28 / /short rw - cgroup\n"
	want := []Mount{
		{"/sys/fs/cgroup/unified", "cgroup2", "nsdelegate"},
		{"/sys/fs/cgroup/cpu", "cgroup", "cpu,cpuacct"},
	}
	if got := parseMounts(table); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestGroupHasItsProcessesAndIsRemoved(t *testing.T) {
	testnet.Need(t, testnet.Root)
	g, err := New("berth-cgroup-test-")
	if err != nil {
		t.Fatal(err)
	}
	if g.dir == nil {
		t.Log("this machine has no unified hierarchy")
		g.Assign(new(syscall.SysProcAttr))
		g.Remove()
		return
	}
	if err := os.Mkdir(filepath.Join(g.path, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat", "/proc/self/cgroup")
	cmd.SysProcAttr = new(syscall.SysProcAttr)
	g.Assign(cmd.SysProcAttr)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "/"+filepath.Base(g.path)+"\n") {
		t.Errorf("the child's groups: %s, %v; want %s", out, err, g.path)
	}
	g.Remove()
	if _, err := os.Stat(g.path); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", g.path, err)
	}
}

func TestGroupsOfEndedProcessesAreSwept(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "g-")
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for pid, kept := range map[int]bool{os.Getpid(): true, ended.Process.Pid: false} {
		dir := prefix + strconv.Itoa(pid)
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o755); err != nil {
			t.Fatal(err)
		}
		sweep(prefix)
		if _, err := os.Stat(dir); (err == nil) != kept {
			t.Errorf("group of process %d: %v, want kept %t", pid, err, kept)
		}
	}
}
