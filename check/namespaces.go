package check

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"berth/network"
)

// place is a live namespace and a way into it.
type place struct {
	ns  *network.Namespace
	pid int // of a process in it; 0: a path leads there
}

// namedNamespaces are where engines and administrators keep namespaces that
// may have no process.
var namedNamespaces = []string{"/run/netns/*", "/run/docker/netns/*"}

// findNamespaces looks for the namespaces with some cookies, among those of
// processes and those that have a name. What is not found is not in the answer.
// The caller closes the namespaces.
func (c *Checker) findNamespaces(cookies map[uint64]bool) map[uint64]place {
	f := finder{wanted: cookies, found: make(map[uint64]place), seen: make(map[string]bool)}
	for _, pid := range processes() {
		link, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/net"))
		if err != nil || f.seen[link] || f.done() { // it has ended, or others have been there
			continue
		}
		f.seen[link] = true
		ns, err := network.OpenPID(pid)
		if err == nil {
			f.take(place{ns, pid})
		}
	}
	for _, pattern := range namedNamespaces {
		paths, _ := filepath.Glob(c.path(pattern)) // the patterns are well formed
		for _, path := range paths {
			if f.done() {
				break
			}
			if ns, err := network.OpenPath(path); err == nil {
				f.take(place{ns: ns})
			}
		}
	}
	return f.found
}

// processes returns the ids of all processes, in their order: a container's
// first is mostly its lowest.
func processes() (pids []int) {
	names, _ := filepath.Glob("/proc/[1-9]*") // the pattern is well formed
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

type finder struct {
	wanted map[uint64]bool
	found  map[uint64]place
	seen   map[string]bool // as /proc/PID/ns/net reads: "net:[4026531840]"
}

func (f *finder) done() bool { return len(f.found) == len(f.wanted) }

// take keeps a namespace that is wanted and closes another.
func (f *finder) take(p place) {
	cookie, err := p.ns.Cookie()
	if _, known := f.found[cookie]; err == nil && f.wanted[cookie] && !known {
		f.found[cookie] = p
		return
	}
	_ = p.ns.Close() // it was only looked at
}

// errNoWay is why routes are not checked: unlike links and addresses, the
// kernel tells them only inside of a namespace.
var errNoWay = errors.New("no process and no name leads into the namespace")
