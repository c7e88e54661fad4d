package bpf

import (
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// FuzzParseFilter parses a filter of kind bpf as the kernel lists it, also cut off and followed by
// other bytes: a whole one has the same members, and no message has a filter without options.
func FuzzParseFilter(f *testing.F) {
	f.Add("berth-ingress", uint16(1), uint32(filterHandle), uint32(7), []byte{}, 1000)
	f.Add("", uint16(0), uint32(0), uint32(0), []byte{8, 0, 11, 0, 1, 0, 0, 0}, 40)
	f.Add("0", uint16(61), uint32(21), uint32(35), []byte("\t\x000000000"), 141) // ends within the padding
	f.Fuzz(func(t *testing.T, name string, priority uint16, handle, program uint32, more []byte, cut int) {
		if slices.Contains([]byte(name), 0) || len(name) > 200 {
			t.Skip()
		}
		options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
		options.AddRtAttr(nl.TCA_BPF_NAME, nl.ZeroTerminated(name))
		options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(nl.TCA_BPF_FLAG_ACT_DIRECT))
		options.AddRtAttr(nl.TCA_BPF_ID, nl.Uint32Attr(program))
		want := filter{index: 3, parent: parentEgress, handle: handle, priority: priority, kind: kindBPF,
			name: name, directAction: true, program: program}
		whole := slices.Concat(want.header().Serialize(), kindAttr(kindBPF).Serialize(), options.Serialize())
		got, ok, err := parseFilter(whole)
		if err != nil || !ok || *got != want {
			t.Errorf("%+v, %t, %v; want %+v", got, ok, err, want)
		}
		if got, ok, err := parseFilter(whole[:min(max(cut, 0), len(whole))]); err == nil && ok && *got != want {
			t.Errorf("cut at %d: %+v, %t", cut, got, ok)
		}
		_, _, _ = parseFilter(more)
		_, _, _ = parseFilter(append(whole, more...)) // it must not panic
		none := slices.Concat(want.header().Serialize(), kindAttr(kindBPF).Serialize())
		if _, ok, err := parseFilter(none); ok || err != nil {
			t.Errorf("without options: %t, %v", ok, err)
		}
	})
}

// TestTCLink reads the loopback interface, and one that does not exist.
func TestTCLink(t *testing.T) {
	t.Parallel()
	c, err := openTC()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if l, err := c.link(1); err != nil || l != (linkFacts{name: "lo"}) {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := c.link(1 << 30); err != unix.ENODEV {
		t.Errorf("%v, want ENODEV", err)
	}
}
