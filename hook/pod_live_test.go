package hook

import (
	"strings"
	"sync"
	"testing"
	"time"

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
