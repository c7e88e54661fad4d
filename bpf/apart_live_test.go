package bpf

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"berth/internal/testnet"
)

// TestSiblingProgramRefused loads on a kernel that refuses the sibling program: all else is
// loaded, and the reason is reported.
func TestSiblingProgramRefused(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	p := pinsUnder(bpffs(t))
	must(t, p.makeDirectories())
	spec, err := loadDatapath()
	must(t, err)
	spec.Programs[progSibling].Instructions = asm.Instructions{asm.Return()} // R0 is not set
	_, err = prepareMigration(p, spec, 0)
	must(t, err)
	l, err := assignObjects(spec, p, constants{})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer l.Close()
	if l.noSibling == nil {
		t.Error("no reason why siblings are not counted")
	}
	for name, program := range map[string]*ebpf.Program{"ingress": l.BerthIngress, "egress": l.BerthEgress, "sibling": l.BerthSibling} {
		if _, err := program.Info(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHasMember looks up members in BTF types that a kernel may have.
func TestHasMember(t *testing.T) {
	t.Parallel()
	number := &btf.Int{Name: "u64", Size: 8}
	builder, err := btf.NewBuilder([]btf.Type{&btf.Struct{Name: "net", Size: 8, Members: []btf.Member{{Name: "net_cookie", Type: number}}}}, nil)
	must(t, err)
	raw, err := builder.Marshal(nil, nil)
	must(t, err)
	types, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	must(t, err)
	for _, tt := range []struct {
		structure, member string
		want              bool
	}{{"net", "net_cookie", true}, {"net", "cookie", false}, {"sock", "net_cookie", false}} {
		if got := hasMember(types, tt.structure, tt.member); got != tt.want {
			t.Errorf("struct %s has %s: %v", tt.structure, tt.member, got)
		}
	}
}

// TestWaitForPrograms checks that waiting needs no privilege or kernel configuration beyond
// maps.
func TestWaitForPrograms(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	must(t, waitForPrograms())
}
