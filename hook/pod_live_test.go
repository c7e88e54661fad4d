package hook

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// Two containers of one namespace start at once: each gets its interfaces at every step
// of the other.
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
					<-time.After(delay) // the delay places the other at different steps
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

// A pod's namespace is given by its path, before a process of the pod runs in it.
func TestStartInANamespaceByItsPath(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	ns := testnet.Namespace(t)
	pod := &box{id: "pod", ns: ns}
	before := h.snapshot(pod)
	attach := func(id, path string) ([]*state.Attachment, error) {
		return h.hook().Attach(t.Context(), Sandbox{ID: id, NetNS: path}, []specs.Selection{{Network: "lan"}})
	}
	for range 2 { // the second attach changes nothing
		all, err := attach("pod", ns.Path())
		if err != nil || len(all) != 1 || all[0].Interface != "net1" || all[0].Addresses[0].String() != "192.0.2.2/24" {
			t.Fatalf("%+v, %v", all, err)
		}
	}
	requireContains(t, ipIn(t, ns, "-o addr show net1"), "192.0.2.2/24")
	h.mustStop(pod)
	h.unchanged(pod, before)

	_, err := attach("pod", testnet.Here(t).Path())
	if err == nil || !strings.Contains(err.Error(), "is in the host's network namespace") {
		t.Errorf("error %v", err)
	}
	_, err = attach("pod", t.TempDir()+"/none")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one of a path that does not exist", err)
	}
	_, err = attach("", ns.Path())
	if err == nil || !strings.Contains(err.Error(), `id "": want a container's id`) {
		t.Errorf("error %v", err)
	}
	if _, err = attach("pod", ""); !errors.Is(err, ErrUnknownContainer) {
		t.Errorf("error %v of a sandbox without a namespace", err)
	}
}

// Attach returns the attachments in the order of the selections, existing ones included.
func TestAttachAndDetach(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	h.network("other", strings.ReplaceAll(lan, "192.0.2.", "198.51.100."))
	ns := testnet.Namespace(t)
	pod := Sandbox{ID: "pod", NetNS: ns.Path()}
	lan1, other := specs.Selection{Network: "lan"}, specs.Selection{Network: "other"}
	interfaces := func(all []*state.Attachment, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range all {
			names = append(names, a.Network+"@"+a.Interface)
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct {
		ask  []specs.Selection
		want string
	}{
		{nil, ""},
		{[]specs.Selection{lan1}, "lan@net1"},
		{[]specs.Selection{other, lan1, lan1}, "other@net2 lan@net1 lan@net3"},
		{[]specs.Selection{lan1, lan1, other}, "lan@net1 lan@net3 other@net2"},
	} {
		if got := interfaces(h.hook().Attach(t.Context(), pod, c.ask)); got != c.want {
			t.Errorf("attached %q, want %q", got, c.want)
		}
	}
	for _, c := range []struct {
		which Which
		want  string
	}{
		{Which{Interface: "net9"}, ""},
		{Which{Network: "other", Interface: "net1"}, ""},
		{Which{Interface: "net1"}, "lan@net1"},
		{Which{Interface: "net1"}, ""},
		{Which{Network: "lan"}, "lan@net3"},
		{Which{}, "other@net2"},
		{Which{}, ""},
	} {
		if got := interfaces(h.hook().Detach(t.Context(), "pod", c.which)); got != c.want {
			t.Errorf("detached %q by %+v, want %q", got, c.which, c.want)
		}
	}
	h.wantNoRecords()
}
