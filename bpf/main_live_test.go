package bpf

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// bpffs returns a folder of the test's own on the BPF file system.
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

// load loads a datapath in a namespace, and closes it with the test.
func load(t testing.TB, ns *testnet.NS, dir string, o Options) *Datapath {
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

// The endpoints of the frame tests, on interface 1.
var (
	macA     = specs.MAC{2, 0, 0x5e, 0, 0x53, 0xa}
	macB     = specs.MAC{2, 0, 0x5e, 0, 0x53, 0xb}
	macHost  = specs.MAC{2, 0, 0x5e, 0, 0x53, 1}
	macLAN   = specs.MAC{2, 0, 0x5e, 0, 0x53, 2}
	macGroup = specs.MAC{0x33, 0x33, 0, 0, 0, 1}
	macAll   = specs.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// ethernet puts an Ethernet header before a payload.
func ethernet(to, from specs.MAC, ethertype uint16, payload []byte) []byte {
	frame := append(to[:], from[:]...)
	return append(binary.BigEndian.AppendUint16(frame, ethertype), payload...)
}

// skb is struct __sk_buff (include/uapi/linux/bpf.h): the fields of it that
// BPF_PROG_TEST_RUN takes.
type skb struct {
	_       [10]uint32
	IfIndex uint32
	_       [30]uint32
	GSOSegs uint32
	_       [2]uint32
	GSOSize uint32
	_       [3]uint32
}
