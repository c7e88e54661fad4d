package hook

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"berth/bpf"
	"berth/internal/release"
)

// TestReceiverComesWithEnforcement has a container in mode bridge whose network enforces nothing. It
// has the receiver program if and only if a network that enforces has a container on the parent, which
// starts after it, or after each step of its own start. Its start takes the kernel no grace period else.
func TestReceiverComesWithEnforcement(t *testing.T) {
	t.Parallel()
	open := strings.Replace(strings.Replace(enforcing, `"ip-spoof"`, "", 1), "2.0/24", "2.128/25", 1)
	for _, step := range []string{"", "claim", "create the interfaces", "register", "set them up", "add routes", "announce", "commit"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			d := h.datapath()
			if err := d.OwnProgramsError(); err != nil {
				t.Skipf("the sibling program does not run on this kernel: %v", err)
			}
			h.network("lan", enforcing)
			h.network("open", open)
			lacks := func(id string, want ...bpf.OwnProgram) {
				t.Helper()
				if got, err := release.LackedPrograms(d.Maps(), h.firstOf(id)); err != nil || !slices.Equal(got, want) {
					t.Errorf("container %s lacks %v, %v; want %v", id, got, err, want)
				}
			}
			a, c := h.box("a", "lan"), h.box("c", "open")
			k := h.hook()
			k.Step = func(name string) error {
				if name == step {
					h.mustStart(a)
				}
				return nil
			}
			if err := k.Run(h.Context(), CreateRuntime, bytes.NewReader(c.state("creating"))); err != nil {
				t.Fatal(err)
			}
			if step == "" {
				lacks("c", bpf.ReceiverProgram)
				done, err := h.releaserHere().AttachOwnPrograms(t.Context())
				if err != nil || done != (release.OwnProgramsDone{}) {
					t.Errorf("berth gc attached %+v, %v; want nothing", done, err)
				}
				h.mustStart(a)
			}
			lacks("a")
			lacks("c")
			h.mustStop(a)
			h.mustStart(h.box("later", "open"))
			lacks("later", bpf.ReceiverProgram)
		})
	}
}
