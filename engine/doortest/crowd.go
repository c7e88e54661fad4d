package doortest

import (
	"bytes"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"berth/hook"
	"berth/internal/release"
	"berth/internal/testnet"
	"berth/network"
)

// A Door is a way of an engine to start and end containers, each by a program of its own.
type Door struct {
	Start func(box int) *exec.Cmd
	End   func(box int) *exec.Cmd // succeeds also if there is nothing to end
	ID    func(box int) string    // of the container
}

// boxes is the number of containers of SurviveKills.
const boxes = 4

// SurviveKills starts and ends containers at random, and kills the programs of the door at random
// times, until a hundred of them were killed, or twenty with -short. A container whose program was
// killed is ended, as an engine does, or left to the collection of berth gc. At any time each
// container has one interface with an address of its own, and nothing else is held. Nothing is
// left in the end.
func (h *Host) SurviveKills(door func(all []*testnet.NS) Door) {
	h.Helper()
	kills := 100
	if testing.Short() {
		kills = 20
	}
	seed := uint64(time.Now().UnixNano())
	h.Logf("seed %d", seed)
	all := make([]*testnet.NS, boxes)
	for i := range all {
		all[i] = testnet.Namespace(h.T)
	}
	c := &crowd{Host: h, Killer: NewKiller(seed), door: door(all), boxes: all, live: make(map[int]bool)}
	for deadline := time.Now().Add(5 * time.Minute); c.Kills < kills && !h.Failed(); {
		if time.Now().After(deadline) {
			h.Fatalf("only %d programs were killed before their end", c.Kills)
		}
		i := c.Rand.IntN(boxes)
		c.step(i)
		c.requireOwnAddresses()
		c.requireConfigured(i)
	}
	for i := range all {
		c.end(i)
	}
	h.RequireNothing(all...)
}

// crowd is the state of SurviveKills.
type crowd struct {
	*Host
	*Killer
	door  Door
	boxes []*testnet.NS
	live  map[int]bool
}

// step starts or ends a container, by a program that may be killed.
func (c *crowd) step(i int) {
	c.Helper()
	do := c.door.Start
	if c.live[i] {
		do = c.door.End
	}
	cmd := do(i)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	killed, err := c.Run(cmd)
	switch {
	case err != nil:
		c.Fatalf("%v: %s", err, &out)
	case !killed:
		c.live[i] = !c.live[i]
	case c.Rand.IntN(4) == 0 && !c.isAttached(i):
		c.collect() // the engine has forgotten the container
		c.live[i] = false
	default:
		c.end(i)
	}
}

// end ends a container by a program that is not killed.
func (c *crowd) end(i int) {
	c.Helper()
	if out, err := c.door.End(i).CombinedOutput(); err != nil {
		c.Fatalf("%v: %s", err, out)
	}
	c.live[i] = false
}

// isAttached reports whether the start of a container was completed before its program was killed.
func (c *crowd) isAttached(i int) bool {
	for _, a := range c.Attachments(c.door.ID(i)) {
		if a.Phase == "attached" {
			return true
		}
	}
	return false
}

// collect runs the collection of berth gc.
func (c *crowd) collect() {
	c.Helper()
	host, err := network.NewHandle()
	if err != nil {
		c.Fatal(err)
	}
	defer host.Close()
	log := slog.New(slog.NewTextHandler(c.Output(), nil))
	rel := &release.Releaser{Store: c.Store, BPFFS: c.Dirs.BPFFS, Host: host, Log: log}
	if _, err := rel.Collect(c.Context(), hook.Timeout); err != nil {
		c.Fatal(err)
	}
}

// requireOwnAddresses requires that each live container has one attachment with an address of
// its own, and that no other leases exist.
func (c *crowd) requireOwnAddresses() {
	c.Helper()
	held := make(map[string]int)
	for i := range c.boxes {
		all := c.Attachments(c.door.ID(i))
		if (len(all) == 1) != c.live[i] || len(all) > 1 {
			c.Errorf("container %d, live %t, has %d attachments:\n%s", i, c.live[i], len(all), c.Records())
		}
		for _, a := range all {
			address := a.Addresses[0].String()
			if before, twice := held[address]; twice {
				c.Errorf("containers %d and %d have the address %s", before, i, address)
			}
			held[address] = i
		}
	}
	if got, want := strings.Count(c.Records(), "lease "), len(held); got != want {
		c.Errorf("%d leases, want %d:\n%s", got, want, c.Records())
	}
}

// requireConfigured requires that a live container has its address on its interface, and one
// that has ended no interface.
func (c *crowd) requireConfigured(i int) {
	c.Helper()
	links := testnet.Run(c.T, c.boxes[i], "ip", "-o", "link", "show", "type", "macvlan")
	if got := strings.Count(links, "\n"); got > 1 || (got == 1) != c.live[i] {
		c.Errorf("container %d, live %t, has the interfaces %q", i, c.live[i], links)
	}
	for _, a := range c.Attachments(c.door.ID(i)) {
		got := testnet.Run(c.T, c.boxes[i], "ip", "-o", "-4", "address", "show", a.Interface)
		if !strings.Contains(got, " "+a.Addresses[0].String()+" ") {
			c.Errorf("container %d has %q, want %s", i, got, a.Addresses[0])
		}
	}
}
