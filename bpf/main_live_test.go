package bpf

import (
	"os"
	"path/filepath"
	"testing"

	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// bpffs returns a directory for the test on the BPF file system.
func bpffs(t testing.TB) string {
	t.Helper()
	testnet.Need(t, testnet.Root)
	dir, err := os.MkdirTemp("/sys/fs/bpf", "berth-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "berth")
}

// mustLoad loads a datapath in a namespace, and closes it with the test.
func mustLoad(t testing.TB, ns *testnet.NS, dir string, o Options) *Datapath {
	t.Helper()
	var d *Datapath
	var err error
	testnet.In(t, ns, func() { d, err = Load(dir, o) })
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// skb is struct __sk_buff (include/uapi/linux/bpf.h): the fields that BPF_PROG_TEST_RUN
// accepts.
type skb struct {
	_       [10]uint32
	IfIndex uint32
	_       uint32
	CB      [5]uint32
	_       [24]uint32
	GSOSegs uint32
	_       [2]uint32
	GSOSize uint32
	_       [3]uint32
}
