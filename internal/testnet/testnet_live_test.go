package testnet_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func TestTheTestSeesOnlyWhatItMade(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	links, err := testnet.Netlink(t, testnet.Here(t)).LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Attrs().Name != "lo" {
			t.Errorf("link %s of the machine is visible", l.Attrs().Name)
		}
	}
	if os.Getppid() != 1 {
		t.Errorf("the parent is process %d, not 1 of a namespace of our own", os.Getppid())
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/bpf", &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
		t.Errorf("/sys/fs/bpf: type %#x, %v", fs.Type, err)
	}
	entries, err := os.ReadDir("/sys/fs/bpf") // the kernel puts two links named *.debug there
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("/sys/fs/bpf of the machine is visible: %s", e.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	a, b := testnet.Namespace(t), testnet.Namespace(t)
	testnet.Veth(t, "one", a, "two", b)
	if out := testnet.Run(t, a, "ip", "-br", "link"); !strings.Contains(out, "one@") || strings.Contains(out, "two") {
		t.Errorf("namespace a has:\n%s", out)
	}
	if out := testnet.Run(t, b, "ip", "-br", "link"); !strings.Contains(out, "two@") {
		t.Errorf("namespace b has:\n%s", out)
	}
	if out := testnet.Run(t, testnet.Here(t), "nsenter", "--net="+a.Path(), "ip", "-br", "link"); !strings.Contains(out, "one@") {
		t.Errorf("by path, namespace a has:\n%s", out)
	}
}

func TestSwitchPassesFrames(t *testing.T) {
	t.Parallel()
	lan, a, b := testnet.Namespace(t), testnet.Namespace(t), testnet.Namespace(t)
	testnet.Veth(t, "p0", lan, "eth0", a)
	testnet.Veth(t, "p1", lan, "eth0", b)
	testnet.Bridge(t, lan, "br0", "p0", "p1")
	testnet.Address(t, a, "eth0", "192.0.2.1/24")
	testnet.Address(t, b, "eth0", "192.0.2.2/24")
	testnet.Run(t, a, "ping", "-c1", "-W5", "192.0.2.2")
}

func TestTapAndCaptureSeeTheSameFrame(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	tap := testnet.Tap(t, ns, "tap0")
	sniffer := testnet.Capture(t, ns, "tap0")
	frame := append(bytes.Repeat([]byte{0xff}, 6), 2, 0, 0x5e, 0, 0x53, 1, 0x88, 0xb5, 'h', 'i')
	same := func(f []byte) bool { return bytes.Equal(f, frame) }
	tap.Write(frame)
	if sniffer.Next(time.Minute, same) == nil {
		t.Error("a frame written to the tap was not captured on its link")
	}
}

func TestProcessIsInItsNamespace(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	p := testnet.Process(t, ns)
	var a, b unix.Stat_t
	if err := unix.Fstat(ns.FD(), &a); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", p.Pid), &b); err != nil {
		t.Fatal(err)
	}
	if a.Ino != b.Ino || a.Dev != b.Dev {
		t.Errorf("process %d is in namespace %d, want %d", p.Pid, b.Ino, a.Ino)
	}
}

func TestUniqueNamesFit(t *testing.T) {
	t.Parallel()
	a, b := testnet.Unique("averylongprefix"), testnet.Unique("averylongprefix")
	if a == b || len(a) > 15 {
		t.Errorf("names %q and %q", a, b)
	}
}
