package check

import (
	"errors"
	"path/filepath"

	"berth/network"
)

// place is a live namespace and a way into it.
type place struct {
	ns  *network.Namespace
	pid int // of a process in it; 0 if a path leads there
}

// namedNamespaces are the paths of namespaces that may have no process, created by engines
// and administrators.
var namedNamespaces = []string{"/run/netns/*", "/run/docker/netns/*"}

// findNamespaces returns the namespaces with some cookies, found among those of processes
// and those that have a name. The caller closes them.
func (c *Checker) findNamespaces(cookies map[uint64]bool) map[uint64]place {
	f := finder{wanted: cookies, found: make(map[uint64]place)}
	if len(cookies) > 0 {
		_ = network.EachNamespace(func(pid int, ns *network.Namespace) (bool, error) { // skips unreadable ones
			f.keepOrClose(place{ns, pid})
			return f.isDone(), nil
		})
	}
	for _, pattern := range namedNamespaces {
		paths, _ := filepath.Glob(c.underRoot(pattern)) // the patterns are well formed
		for _, path := range paths {
			if f.isDone() {
				break
			}
			if ns, err := network.OpenPath(path); err == nil {
				f.keepOrClose(place{ns: ns})
			}
		}
	}
	return f.found
}

type finder struct {
	wanted map[uint64]bool
	found  map[uint64]place
}

func (f *finder) isDone() bool { return len(f.found) == len(f.wanted) }

// keepOrClose keeps a wanted namespace and closes another.
func (f *finder) keepOrClose(p place) {
	cookie, err := p.ns.Cookie()
	if _, known := f.found[cookie]; err == nil && f.wanted[cookie] && !known {
		f.found[cookie] = p
		return
	}
	_ = p.ns.Close() // not needed any more
}

// errNoEntry is the reason why routes are not checked: unlike links and addresses, the kernel
// shows them only inside a namespace.
var errNoEntry = errors.New("no process is in the network namespace, and no file names it")
