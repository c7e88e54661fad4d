package hook

import (
	"errors"
	"fmt"
	"testing"

	"berth/internal/testnet"
)

// endProcess kills a container's process, and thereby ends its namespace.
func (b *box) endProcess(t *testing.T) {
	t.Helper()
	err := b.process.Kill()
	_, waitErr := b.process.Wait()
	if err := errors.Join(err, waitErr, b.ns.Close()); err != nil {
		t.Fatal(err)
	}
}

// The kernel deletes an interface some time after the end of its namespace, and
// later if many namespaces end. Until then the parent is in use by another driver
// or by passthru, and the address cannot be added.
func TestRestartBeforeTheOldLinkIsDeleted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		needs    []testnet.Feature
		networks []string // used in turn, repeatedly
	}{
		{"passthru", nil, []string{"driver = 'macvlan'\nmode = 'passthru'"}},
		{"passthru and bridge", nil, []string{"mode = 'passthru'", "mode = 'bridge'"}},
		{"macvlan and ipvlan", []testnet.Feature{testnet.IPvlan}, []string{"driver = 'macvlan'", "driver = 'ipvlan'"}},
		{"an ipvlan address", []testnet.Feature{testnet.IPvlan}, []string{"driver = 'ipvlan'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testnet.Need(t, c.needs...)
			h := newHost(t)
			for i, text := range c.networks {
				h.network(fmt.Sprintf("lan%d", i), "parent = 'PARENT'\nconflict_timeout = '0'\n"+text+"\n[[subnet]]\nsubnet = '192.0.2.0/24'\n")
			}
			h.restartRepeatedly(len(c.networks))
		})
	}
}

// restartRepeatedly starts a container as soon as the previous one has ended,
// while many other namespaces end.
func (h *host) restartRepeatedly(networks int) {
	const cycles, others = 20, 5
	a := h.box("a", "lan0")
	for i := range cycles {
		h.mustStart(a)
		var dying []*testnet.NS
		for range others {
			dying = append(dying, testnet.Namespace(h.T))
		}
		again := h.box("a", fmt.Sprintf("lan%d", (i+1)%networks))
		for _, ns := range dying {
			if err := ns.Close(); err != nil {
				h.Fatal(err)
			}
		}
		a.endProcess(h.T)
		h.mustStop(a)
		a = again
	}
	h.mustStart(a)
}
