package states

import (
	"context"
	"fmt"
	"time"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// theDoor is the door of all containers that an engine attaches as CNI does.
var theDoor = state.Door{Name: state.DoorCNI, Network: "pods"}

// doorInterface is the name that the engine requests.
const doorInterface = "eth0"

// addByDoor is an ADD of CNI: a network, an ID and the path of a network namespace.
func addByDoor(ctx context.Context, d config.Dirs, args []string) error {
	box := hook.Sandbox{ID: args[1], NetNS: args[2], Door: &theDoor}
	_, err := theHook(d).Attach(ctx, box, []specs.Selection{{Network: args[0], Interface: doorInterface}})
	return err
}

// deleteByDoor is a DEL of CNI.
func deleteByDoor(ctx context.Context, d config.Dirs, args []string) error {
	_, err := theHook(d).Detach(ctx, args[0], hook.Which{Interface: doorInterface, Door: &theDoor})
	return err
}

// startByDoor starts a new container that its engine attaches.
func (w *world) startByDoor() func() {
	w.serial++
	b := w.newBox(fmt.Sprintf("d%d", w.serial))
	b.byDoor = true
	name, kill := selections[w.rand.IntN(2)], w.killTime()
	return func() {
		o := w.execute(kill, nil, "add", name, b.id, fmt.Sprintf("/proc/%d/ns/net", b.process.Pid))
		w.report("add "+b.id+" to "+name, o)
		switch {
		case o.killed:
			b.mayBe(name)
		case o.err == nil:
			b.set(name, true)
		default:
			w.checkBare(b)
		}
	}
}

// actOnDoor chooses an action on a container that its engine has attached: the engine deletes the
// interface, before or after the container's process has died, or it is not there to do so.
func (w *world) actOnDoor(b *box) func() {
	kill := w.killTime()
	switch n := w.rand.IntN(10); {
	case n < 7:
		return func() { w.deleteByDoor(b, kill) }
	case n < 9:
		return func() { b.end(); w.deleteByDoor(b, kill) }
	default:
		return func() { b.end(); w.note("%s died", b.id) }
	}
}

// deleteByDoor ends a container, unless the engine's plugin is killed.
func (w *world) deleteByDoor(b *box, kill time.Duration) {
	o := w.execute(kill, nil, "delete", b.id)
	w.report("delete "+b.id, o)
	switch {
	case o.killed:
		for _, name := range selections[:2] {
			if b.on[name] {
				b.mayBe(name)
			}
		}
	case o.err == nil:
		w.checkBare(b)
		b.end()
	}
}
