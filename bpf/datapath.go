package bpf

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
)

// Datapath holds the loaded programs, for the agent. Only one process at a time may have
// it. Its methods must not be called concurrently.
type Datapath struct {
	pins    pins
	maps    *Maps
	tc      *tc
	devices deviceLister // for the agent, which looks below parents
	attach  string
	cookie  uint64                // of the namespace of the parents
	links   map[linkKey]*sys.Link // that this process keeps open, by parent and direction

	shims     map[int]bool // the host's interfaces with the shim program, on a kernel without tcx
	noSibling error        // why the programs on endpoints' own interfaces do nothing
	withheld  bool         // hooks must not attach to parents

	// Load sets all programs, a hook (AttachParent) only ingress and egress; withPinned sets
	// none. The others are nil.
	ingress  program
	egress   program
	sibling  program
	receiver program
	guard    program
	shim     program
	owner    program // attached nowhere: it finds the namespace of an interface
}

// program is a program of which a file descriptor is open.
type program interface {
	FD() int
	Close() error
}

// netnsCookie returns SO_NETNS_COOKIE of the caller's namespace.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("read cookie of network namespace (Linux 5.14): %w", err)
	}
	return cookie, nil
}

// Maps returns the maps; they are closed with the Datapath.
func (d *Datapath) Maps() *Maps { return d.maps }

// Close closes programs and maps. The pinned ones go on counting.
func (d *Datapath) Close() error {
	d.tc.Close()
	closeLister(d.devices)
	d.releaseLinks()
	errs := []error{d.maps.Close()}
	for _, p := range []program{d.ingress, d.egress, d.sibling, d.receiver, d.guard, d.shim, d.owner} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// The programs, by the names of their pins for hooks.
const (
	pinIngress  = "ingress"
	pinEgress   = "egress"
	pinSibling  = "sibling"
	pinReceiver = "receiver"
	pinGuard    = "guard"
	pinShim     = "shim"
)

// pinLayout is the pinned map that describes the layout of the others. The size of a value
// does not identify its layout: a member may be inserted in the middle, or two may have
// changed places.
const pinLayout = "layout"
