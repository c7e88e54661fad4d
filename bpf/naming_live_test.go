package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"berth/internal/testnet"
	"berth/specs"
)

// netnsHelper reports whether the kernel has the helper that names the sender of a frame.
func netnsHelper() bool {
	return features.HaveProgramHelper(ebpf.SchedCLS, asm.FnGetNetnsCookie) == nil
}

// namings returns the ways by which the programs can name the sender of a frame on this kernel.
func namings() map[string]constants {
	all := make(map[string]constants)
	if netnsHelper() {
		all["helper"] = constants{netnsHelper: true, sockets: true}
	}
	if testnet.Has(testnet.Types) {
		all["types"] = constants{sockets: true}
		all["types, by calls"] = constants{sockets: true, noCast: true}
	}
	return all
}

// nameless are the constants of a kernel that cannot name the sender of a frame.
var nameless = constants{sockets: true, noTypes: true}

// namesSenders reports whether the kernel can name the sender of a frame.
func namesSenders() bool { return len(namings()) > 0 }

// needNaming skips a test if the kernel cannot name the sender of a frame. It returns the
// constants for this kernel.
func needNaming(t testing.TB) constants {
	t.Helper()
	testnet.Need(t, testnet.Root)
	if !netnsHelper() {
		testnet.Need(t, testnet.Types)
	}
	return constants{netnsHelper: netnsHelper(), sockets: true}
}

// eachNaming runs a test by each way in which the kernel can name the sender of a frame.
func eachNaming(t *testing.T, test func(*testing.T, constants)) {
	t.Helper()
	needNaming(t)
	for how, c := range namings() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// spoofBench has endpoint A, in another namespace, and B, whose namespace the frames of
// BPF_PROG_TEST_RUN come from.
func spoofBench(t *testing.T, c constants) *bench {
	ns := testnet.Namespace(t)
	dir := bpffs(t)
	var d *Datapath
	var err error
	testnet.In(t, ns, func() { d, err = loadWith(dir, Options{}, c) })
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	x := &bench{TB: t, Datapath: d, ns: ns, cookie: d.cookie}
	d.cookie += 0xc0 // the host is in another namespace
	must(t, d.ownMAC(1, macHost))
	x.mustRegister(Endpoint{Slot: slotA, MAC: macA, Mode: specs.ModeBridge, Cookie: x.cookie + 0xa})
	x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie})
	return x
}

// TestWithoutCast checks that no program refers to bpf_rdonly_cast after withoutCast, and that some do
// before: a kernel that does not compile programs refuses those.
func TestWithoutCast(t *testing.T) {
	t.Parallel()
	spec, err := loadDatapath()
	must(t, err)
	refers := func() (n int) {
		for _, p := range spec.Programs {
			for _, ins := range p.Instructions {
				if ins.IsKfuncCall() || ins.Reference() == kfuncCast {
					n++
				}
			}
		}
		return n
	}
	if refers() == 0 {
		t.Error("no program refers to it, so that this tests nothing")
	}
	withoutCast(spec)
	if n := refers(); n != 0 {
		t.Errorf("%d instructions refer to it", n)
	}
}
