package hook

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/internal/testnet"
)

// A hundred hooks run at once on one parent: all succeed, and no address or MAC
// is given twice.
func TestACrowd(t *testing.T) {
	t.Parallel()
	const n = 100
	h := newHost(t)
	h.network("lan", strings.Replace(lan, "[[", "conflict_timeout = '0'\n[[", 1))
	boxes := make([]*box, n)
	for i := range boxes {
		boxes[i] = h.box(fmt.Sprint("c", i), "lan")
	}
	errs := make([]error, n)
	hooks := make([]*Hook, n)
	for i := range hooks {
		hooks[i] = h.hook()
	}
	begin := time.Now()
	var wg sync.WaitGroup
	for i, b := range boxes {
		wg.Go(func() { errs[i] = h.runHook(hooks[i], b.state("creating")) })
	}
	wg.Wait()
	atOnce := time.Since(begin)
	seen := make(map[string]string)
	for i, b := range boxes {
		if errs[i] != nil {
			t.Fatalf("%s: %v", b.id, errs[i])
		}
		r := h.firstOf(b.id)
		for _, what := range []string{r.Addresses[0].String(), r.MAC.String()} {
			if other, twice := seen[what]; twice {
				t.Errorf("%s is of %s and of %s", what, other, b.id)
			}
			seen[what] = b.id
		}
	}
	for _, b := range boxes {
		h.mustStop(b)
	}
	if got := h.records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	begin = time.Now()
	for _, b := range boxes {
		h.mustStart(b)
	}
	t.Logf("%d attachments: %v at once, %v one after another", n, atOnce.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
}

// A container with a fixed address and MAC starts and stops a thousand times, and
// its namespace ends in between: each start finds both free.
func TestSoak(t *testing.T) {
	t.Parallel()
	cycles := 1000
	if testing.Short() {
		cycles = 50
	}
	h := newHost(t)
	h.write("berth.toml", open)
	h.network("lan", strings.Replace(lan, "[[", "conflict_timeout = '0'\n[[", 1))
	for i := range cycles {
		b := &box{id: "a", ns: testnet.Namespace(t), annotations: map[string]string{
			"berth/networks": `[{"name":"lan","ips":["192.0.2.7"],"mac":"02:00:5e:00:53:07"}]`}}
		b.process = testnet.Process(t, b.ns)
		if err := h.start(b); err != nil {
			t.Fatalf("cycle %d: %v", i, err)
		}
		if i%2 == 0 { // the namespace ends first, as it usually does
			_ = b.process.Kill()
			_, _ = b.process.Wait()
			if err := b.ns.Close(); err != nil {
				t.Fatal(err)
			}
			h.mustStop(b)
			continue
		}
		h.mustStop(b)
		_ = b.process.Kill()
		_, _ = b.process.Wait()
		if err := b.ns.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}
