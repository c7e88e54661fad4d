package hook

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/internal/testnet"
)

// Two containers of one namespace, started at once: both have what they asked
// for, whatever step the other is at.
func TestStartsOfOneNamespaceDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	for _, second := range []string{"lan", "other"} {
		for _, delay := range []time.Duration{0, 5 * time.Millisecond, 30 * time.Millisecond} {
			t.Run(second+" after "+delay.String(), func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				h.network("lan", lan)
				h.network("other", strings.ReplaceAll(lan, "192.0.2.", "198.51.100."))
				a := h.box("a", "lan")
				b := &box{id: "b", ns: a.ns, process: a.process, annotations: map[string]string{"berth/networks": second}}
				hooks := []*Hook{h.hook(), h.hook()}
				var errs [2]error
				var wg sync.WaitGroup
				wg.Go(func() { errs[0] = hooks[0].Run(t.Context(), "", strings.NewReader(string(a.state("creating")))) })
				wg.Go(func() {
					<-time.After(delay) // the point of the test: where the other is by then
					errs[1] = hooks[1].Run(t.Context(), "", strings.NewReader(string(b.state("creating"))))
				})
				wg.Wait()
				if errs[0] != nil || errs[1] != nil {
					t.Fatalf("errors %v, %v", errs[0], errs[1])
				}
				want := map[string]int{"lan": 1, "other": 2}[second]
				links := strings.Count(testnet.Run(t, a.ns, "ip", "-o", "link", "show", "type", "macvlan"), "\n")
				if got := strings.Count(h.records(), "attachment"); got != want || links != want {
					t.Errorf("%d records and %d links, want %d:\n%s", got, links, want, h.records())
				}
				if len(h.attachments("a")) == 0 || len(h.attachments("b")) == 0 {
					t.Errorf("a container has nothing:\n%s", h.records())
				}
				h.mustStop(a)
				h.mustStop(b)
				if got := h.records(); got != "" {
					t.Errorf("left behind:\n%s", got)
				}
			})
		}
	}
}

// A pod's namespace is known by its path, before any process of its own is in it.
func TestStartInANamespaceByItsPath(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	ns := testnet.Namespace(t)
	pod := &box{id: "pod", ns: ns}
	before := h.snapshot(pod)
	st := &specs.State{ID: "pod", Annotations: map[string]string{"berth/networks": "lan"}}
	for range 2 { // again changes nothing
		if err := h.hook().StartIn(t.Context(), st, ns.Path()); err != nil {
			t.Fatal(err)
		}
	}
	has(t, ipIn(t, ns, "-o addr show net1"), "192.0.2.2/24")
	h.mustStop(pod)
	h.unchanged(pod, before)

	err := h.hook().StartIn(t.Context(), st, testnet.Here(t).Path())
	if err == nil || !strings.Contains(err.Error(), "it shares the host's") {
		t.Errorf("error %v", err)
	}
	err = h.hook().StartIn(t.Context(), st, t.TempDir()+"/none")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one of a path that does not exist", err)
	}
	err = h.hook().StartIn(t.Context(), &specs.State{Annotations: st.Annotations}, ns.Path())
	if err == nil || !strings.Contains(err.Error(), `id "": want a container's id`) {
		t.Errorf("error %v", err)
	}
}
