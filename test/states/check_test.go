package states

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

func (w *world) ip(args ...string) { testnet.Run(w.T, w.host, "ip", args...) }

func (w *world) tryIP(args ...string) (out []byte, err error) {
	testnet.In(w.T, w.host, func() { out, err = exec.Command("ip", args...).CombinedOutput() })
	return out, err
}

func (w *world) parentIndex() int { return testnet.Link(w.T, w.host, parent).Attrs().Index }

// seen is an interface as the kernel reports it.
type seen struct {
	where     string
	link      network.LinkInfo
	addresses []netip.Prefix
}

// interfaces returns the macvlan interfaces in a namespace.
func (w *world) interfaces(where string, ns *testnet.NS) (all []seen) {
	w.Helper()
	n, err := network.OpenPath(ns.Path())
	must(w.T, err)
	defer n.Close()
	h, err := n.Open()
	must(w.T, err)
	links, err := h.Links()
	must(w.T, err)
	addresses, err := h.AddressInfos()
	must(w.T, err)
	for _, l := range links {
		if l.Driver == "" {
			continue
		}
		s := seen{where: where, link: l}
		for _, a := range addresses {
			if a.Index == l.Index && a.Prefix.Addr().Is4() {
				s.addresses = append(s.addresses, a.Prefix)
			}
		}
		all = append(all, s)
	}
	return all
}

// living returns all interfaces on the parent, of running containers and of the host.
func (w *world) living() []seen {
	all := w.interfaces("the host", w.host)
	for _, b := range w.boxes {
		if !b.dead {
			all = append(all, w.interfaces(b.id, b.ns)...)
		}
	}
	return all
}

// checkBare checks that a container has no interface of berth.
func (w *world) checkBare(b *box) {
	w.Helper()
	if b.dead {
		return
	}
	for _, s := range w.interfaces(b.id, b.ns) {
		w.Errorf("container %s has interface %s left", b.id, s.link.Name)
	}
}

// checkModel compares the kernel and the records with the model. Only the agent runs
// meanwhile, no other program of berth.
func (w *world) checkModel() {
	w.Helper()
	all := w.living()
	w.checkUnique(all)
	records := w.records()
	for _, b := range w.boxes {
		if !b.dead {
			w.checkBox(b, records, all)
		}
	}
}

// checkUnique checks that no address and no MAC is on two interfaces.
func (w *world) checkUnique(all []seen) {
	w.Helper()
	addresses, macs := map[netip.Addr]string{}, map[specs.MAC]string{}
	for _, s := range all {
		name := s.where + "/" + s.link.Name
		for _, p := range s.addresses {
			if other, twice := addresses[p.Addr()]; twice {
				w.Errorf("address %s is on %s and on %s", p.Addr(), other, name)
			}
			addresses[p.Addr()] = name
		}
		if other, twice := macs[s.link.MAC]; twice {
			w.Errorf("MAC %s is on %s and on %s", s.link.MAC, other, name)
		}
		macs[s.link.MAC] = name
	}
}

// checkBox checks that a container has the interfaces of the model, as recorded.
func (w *world) checkBox(b *box, records []*state.Attachment, all []seen) {
	w.Helper()
	var on []string
	for _, r := range records {
		if r.Phase != specs.PhaseAttached || !slices.Contains(r.Containers, b.id) || b.maybe[r.Network] {
			continue
		}
		on = append(on, r.Network)
		i := slices.IndexFunc(all, func(s seen) bool { return s.where == b.id && s.link.Name == r.Interface })
		if i < 0 {
			w.Errorf("container %s: recorded interface %s is not there", b.id, r.Interface)
			continue
		}
		if s := all[i]; s.link.MAC != r.MAC || !slices.Equal(s.addresses, r.Addresses) || !s.link.Up {
			w.Errorf("container %s: interface %s has %s %v (up: %t), recorded are %s %v",
				b.id, r.Interface, s.link.MAC, s.addresses, s.link.Up, r.MAC, r.Addresses)
		}
	}
	var want []string
	for name := range b.on {
		want = append(want, name)
	}
	slices.Sort(on)
	slices.Sort(want)
	if !slices.Equal(on, want) {
		w.Errorf("container %s is on %q, want %q", b.id, on, want)
	}
}

// records returns the live records.
func (w *world) records() (all []*state.Attachment) {
	w.Helper()
	must(w.T, w.store.View(w.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return nil
	}))
	return all
}

// checkLeases runs gc and checks that no address is leased without an interface. It
// retries, because the kernel removes dead namespaces in the background.
func (w *world) checkLeases() {
	w.Helper()
	var wrong []string
	holds := func() bool {
		if o := w.execute(0, nil, "gc"); o.err != nil {
			w.Errorf("gc: %s", o)
		}
		wrong = w.unfounded()
		return len(wrong) == 0
	}
	for until := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(until) {
			w.Fatalf("addresses are held without an interface: %q\n%s", wrong, w.describeRecords(wrong))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// unfounded returns the leases whose address is on no interface.
func (w *world) unfounded() (wrong []string) {
	have := map[netip.Addr]bool{}
	for _, s := range w.living() {
		for _, p := range s.addresses {
			have[p.Addr()] = true
		}
	}
	must(w.T, w.store.View(w.Context(), func(tx *state.Tx) error {
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			if !have[l.Addr] {
				wrong = append(wrong, fmt.Sprintf("%s of %s (%s)", l.Addr, l.Container, l.Owner))
			}
		}
		return nil
	}))
	return wrong
}

// describeRecords describes the live records whose keys are in texts, and their locks.
func (w *world) describeRecords(texts []string) string {
	var b strings.Builder
	for _, a := range w.records() {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, a.Key()) }) {
			continue
		}
		unlock, err := w.store.TryHold(a.Key())
		if err == nil {
			unlock()
		}
		fmt.Fprintf(&b, "%s (lock: %v): %+v\n", a.Key(), err, a)
	}
	return b.String()
}

// checkNothingLeft ends all containers, the shim and the agent, and checks that nothing
// of them is left in the kernel or in the records.
func (w *world) checkNothingLeft() {
	w.Helper()
	for _, b := range w.boxes {
		b.end()
	}
	w.forgetEnded()
	if o := w.execute(0, nil, "disable", "lan"); o.err != nil {
		w.Errorf("host disable: %s", o)
	}
	w.checkLeases()
	var left string
	testnet.Eventually(w.T, "nothing is left", func() bool {
		if o := w.execute(0, nil, "gc"); o.err != nil {
			w.Errorf("gc: %s", o)
		}
		left = w.differences()
		return left == ""
	})
}

// differences describes the changes since before the first action, or returns "".
func (w *world) differences() string {
	var left []string
	for _, r := range w.records() {
		left = append(left, "record "+r.Key())
	}
	for _, s := range w.living() {
		left = append(left, "interface "+s.link.Name+" in "+s.where)
	}
	must(w.T, w.store.View(w.Context(), func(tx *state.Tx) error {
		draining, err := tx.Draining()
		for _, a := range draining {
			left = append(left, "counter slot of "+a.Key())
		}
		return err
	}))
	routes, err := w.tryIP("-4", "route", "show", "scope", "link")
	must(w.T, err)
	if text := strings.TrimSpace(string(routes)); text != "" {
		left = append(left, "routes "+text)
	}
	return strings.Join(left, "; ")
}
