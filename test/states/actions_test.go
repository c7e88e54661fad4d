package states

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// killWithin is the maximum time until a program is killed. Most have ended by then, so
// the kills hit all of their steps.
const killWithin = 60 * time.Millisecond

// maxBoxes is the maximum number of containers; the pools have six addresses.
const maxBoxes = 5

// killTime returns the time after which to kill the next program, or 0 for most, which
// run to their end.
func (w *world) killTime() time.Duration {
	if w.rand.IntN(4) > 0 {
		return 0
	}
	return 1 + time.Duration(w.rand.Int64N(int64(killWithin)))
}

// round runs some random actions at once, each on another container.
func (w *world) round() {
	free := slices.Sorted(maps.Keys(w.boxes))
	w.rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	var actions []func()
	for range 1 + w.rand.IntN(3) {
		switch n := w.rand.IntN(10); {
		case n == 0 && len(w.boxes) < maxBoxes:
			actions = append(actions, w.startByDoor())
		case n < 3 && len(w.boxes) < maxBoxes:
			actions = append(actions, w.startNew())
		case n < 8 && len(free) > 0:
			actions = append(actions, w.actOn(w.boxes[free[0]]))
			free = free[1:]
		case n == 8:
			kill := w.killTime()
			actions = append(actions, func() { w.report("gc", w.execute(kill, nil, "gc")) })
		default:
			actions = append(actions, w.actOnShim())
		}
	}
	w.together(actions)
	w.actOnAgent()
	w.forgetEnded()
}

// together runs actions concurrently and waits for all.
func (w *world) together(actions []func()) {
	done := make(chan struct{})
	for _, act := range actions {
		go func() {
			defer func() { done <- struct{}{} }()
			act()
		}()
	}
	for range actions {
		<-done
	}
}

// report logs an outcome, and fails the test on an error that the model does not allow.
func (w *world) report(what string, o outcome) {
	w.note("%s: %s", what, o)
	if o.err == nil || o.killed {
		return
	}
	for _, known := range []string{
		"addresses of 192.0.2.8/29 are held",           // the pools are small
		"the attachment that the container shares",     // it is being released
		"berth has no record of this container",        // nothing of it is attached
		"is being made or released by another process", // two actions in one namespace
		"one that container",                           // connected already, or not
		"the process has ended",                        // killed in between
	} {
		if strings.Contains(o.text, known) {
			return
		}
	}
	w.Errorf("%s: unexpected error: %s", what, o)
}

var selections = []string{"lan", "lab", "lan,lab"}

// startNew starts a new container.
func (w *world) startNew() func() {
	w.serial++
	b := w.newBox(fmt.Sprintf("c%d", w.serial))
	networks, kill := selections[w.rand.IntN(len(selections))], w.killTime()
	return func() { w.startBox(b, b.id, networks, kill) }
}

// startBox runs the hook for a container as a runtime does.
func (w *world) startBox(b *box, id, networks string, kill time.Duration) {
	o := w.execute(kill, b.state(id, "creating", networks), "hook", "createRuntime")
	w.report("start "+id+" on "+networks, o)
	names := strings.Split(networks, ",")
	switch {
	case o.killed:
		b.mayBe(names...)
	case o.err == nil:
		for _, name := range names {
			b.set(name, true)
		}
		if id != b.id && !slices.Contains(b.sharers, id) {
			b.sharers = append(b.sharers, id)
		}
	}
}

// actOn chooses an action on a running container.
func (w *world) actOn(b *box) func() {
	if b.byDoor {
		return w.actOnDoor(b)
	}
	kill, other := w.killTime(), selections[w.rand.IntN(2)]
	switch n := w.rand.IntN(10); {
	case len(b.maybe) > 0 && n < 5: // the runtime tries again
		return func() { w.startBox(b, b.id, strings.Join(slices.Sorted(maps.Keys(b.maybe)), ","), 0) }
	case n < 2:
		return func() { w.connect(b, other, kill) }
	case n < 4 && b.on[other]:
		return func() { w.disconnect(b, other, kill) }
	case n == 4 && len(b.maybe) == 0 && len(b.on) > 0 && len(b.sharers) == 0:
		return func() { w.startBox(b, b.id+"s", strings.Join(slices.Sorted(maps.Keys(b.on)), ","), 0) }
	case n < 7:
		return func() { w.stopBox(b, kill) }
	case n < 9: // its process dies, then the runtime calls the hook
		return func() { b.end(); w.stopBox(b, kill) }
	default: // its process dies, and no hook is called
		return func() { b.end(); w.note("%s died", b.id) }
	}
}

func (w *world) connect(b *box, name string, kill time.Duration) {
	if b.on[name] || len(b.on) == 0 {
		return
	}
	o := w.execute(kill, nil, "connect", name, b.id)
	w.report("connect "+b.id+" to "+name, o)
	switch {
	case o.killed:
		b.mayBe(name)
	case o.err == nil:
		b.set(name, true)
	}
}

func (w *world) disconnect(b *box, name string, kill time.Duration) {
	o := w.execute(kill, nil, "disconnect", name, b.id)
	w.report("disconnect "+b.id+" from "+name, o)
	switch {
	case o.killed:
		b.mayBe(name)
	case o.err == nil:
		b.set(name, false)
	}
}

// stopBox runs the poststop of every id of a container, then ends it.
func (w *world) stopBox(b *box, kill time.Duration) {
	whole := true
	for _, id := range append(slices.Clone(b.sharers), b.id) {
		o := w.execute(kill, b.state(id, "stopped", ""), "hook", "poststop")
		w.report("stop "+id, o)
		whole = whole && !o.killed && o.err == nil
	}
	if whole {
		w.checkBare(b)
	}
	b.end()
}

// forgetEnded removes dead containers from the model.
func (w *world) forgetEnded() {
	maps.DeleteFunc(w.boxes, func(_ string, b *box) bool { return b.dead })
}

func (w *world) actOnShim() func() {
	kill, what := w.killTime(), []string{"enable", "disable"}[w.rand.IntN(2)]
	return func() { w.report("host "+what, w.execute(kill, nil, what, "lan")) }
}

// actOnAgent starts, stops or kills the agent in some rounds.
func (w *world) actOnAgent() {
	switch n := w.rand.IntN(12); {
	case w.agent == nil && n < 4:
		w.note("the agent starts")
		w.startAgent(n > 0)
	case w.agent != nil && n == 0:
		w.note("the agent is killed")
		w.stopAgent(syscall.SIGKILL)
	case w.agent != nil && n == 1:
		w.waitAgent()
		w.note("the agent stops")
		w.stopAgent(syscall.SIGTERM)
	}
}

// parentActs renames, moves or removes the parent in some rounds.
func (w *world) parentActs(round int) {
	switch {
	case round%13 == 12:
		w.renameParent()
	case round%17 == 16:
		w.moveParent()
	case round%19 == 9:
		w.loseParent()
	}
}

// stepClock sets the machine's clock forward or back by up to an hour.
func (w *world) stepClock() {
	step := time.Duration(w.rand.Int64N(int64(2*time.Hour))) - time.Hour
	w.note("the clock is set by %v", step)
	to := unix.NsecToTimeval(time.Now().Add(step).UnixNano())
	must(w.T, unix.Settimeofday(&to))
}

// renameParent renames the parent for a moment, while no container starts.
func (w *world) renameParent() {
	if out, err := w.tryIP("link", "set", parent, "name", "other1"); err != nil {
		w.note("no rename: %s", out) // before Linux 6.2 a link that is up cannot be renamed
		return
	}
	b := w.newBox(fmt.Sprintf("c%d", w.serial+1))
	w.serial++
	o := w.execute(0, b.state(b.id, "creating", "lan"), "hook", "createRuntime")
	w.note("start %s without the parent: %s", b.id, o)
	if o.err == nil || !strings.Contains(o.text, parent) {
		w.Errorf("start of %s while the parent has another name: %s; want an error that names %s", b.id, o, parent)
	}
	w.checkBare(b)
	w.ip("link", "set", "other1", "name", parent)
	b.end()
	w.forgetEnded()
}

// moveParent moves the parent to another network namespace and back, which changes its
// index.
func (w *world) moveParent() {
	w.note("the parent moves away and back")
	index := w.parentIndex()
	w.ip("link", "set", parent, "netns", w.away.Path())
	w.ip("link", "add", fmt.Sprintf("place%d", w.serial), "index", fmt.Sprint(index), "type", "bridge")
	w.serial++
	testnet.Run(w.T, w.away, "ip", "link", "set", parent, "netns", w.host.Path())
	w.ip("link", "set", parent, "up")
	w.watched = false
}

// loseParent removes the parent, and the kernel with it all interfaces on it, and makes it again.
// Healing brings back those of the living containers, also after kills.
func (w *world) loseParent() {
	for name := range networkFiles { // a shim on a parent that is gone ends
		_ = w.execute(0, nil, "disable", name)
	}
	w.note("the parent is removed and made again")
	w.ip("link", "delete", parent)
	if w.rand.IntN(2) == 0 {
		w.report("gc without the parent", w.execute(0, nil, "gc"))
	}
	w.wire()
	w.watched = false
	for range w.rand.IntN(4) {
		w.report("heal", w.execute(1+time.Duration(w.rand.Int64N(int64(killWithin))), nil, "heal"))
	}
	w.report("heal", w.execute(0, nil, "heal"))
}
