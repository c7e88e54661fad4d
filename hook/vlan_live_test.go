package hook

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"berth/internal/testnet"
)

// Containers come and go on a VLAN at once: it is made by the first and removed
// with the last, again and again, and nobody finds it half made or gone.
func TestAVLANOfManyAtOnce(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	const many, cycles = 6, 5
	h := newHost(t)
	h.network("v100", strings.Replace(strings.Replace(lan, "PARENT", "PARENT.100", 1), "[[", "conflict_timeout = '0'\n[[", 1))
	boxes := make([]*box, many)
	for i := range boxes {
		boxes[i] = h.box(fmt.Sprint("c", i), "v100")
	}
	before := h.snapshot(boxes[0])
	var wg sync.WaitGroup
	for _, b := range boxes {
		wg.Go(func() {
			for i := range cycles {
				if err := h.start(b); err != nil {
					t.Errorf("%s, cycle %d: %v", b.id, i, err)
				}
				if err := h.run(h.hook(), b.state("stopped")); err != nil {
					t.Errorf("stop %s, cycle %d: %v", b.id, i, err)
				}
			}
		})
	}
	wg.Wait()
	h.unchanged(boxes[0], before)
}
