package observe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"berth/network"

	"golang.org/x/sys/unix"
)

// youth is the age up to which a process is inspected again: a runtime's process enters its
// namespace within milliseconds of its start, or within a second on a loaded machine.
const youth = 2 * time.Second

// Namespaces gives IDs in the host's namespace to the network namespaces that have a process,
// or are mounted at a path. It is for one goroutine.
//
// The kernel notifies the host of changes only in namespaces with an ID. CNI plugins and
// iproute2 make an interface inside a namespace that has none.
type Namespaces struct {
	host   *network.Handle
	last   int               // ID of the process that was started last
	young  map[int]time.Time // processes that started lately, and when that was noticed
	mounts mountWatch
	load   loadFile
}

// NewNamespaces returns a finder of namespaces. It uses host until it is no longer used.
func NewNamespaces(host *network.Handle) *Namespaces {
	return &Namespaces{host: host, young: make(map[int]time.Time)}
}

// AssignAll inspects all processes and mounts. It returns the IDs that it has assigned.
func (n *Namespaces) AssignAll(now time.Time) (fresh []int, err error) {
	last, err := n.load.lastProcess()
	n.last = last
	errs := []error{err}
	for _, pid := range network.ProcessIDs() {
		n.young[pid] = now
	}
	n.mounts.hasChanged() // from here on
	fresh, err = n.assignYoung(now)
	return append(fresh, n.assignFiles()...), errors.Join(append(errs, err)...)
}

// AssignNew inspects the processes that have started lately and, if the mounts have changed, the
// mounts. It returns the IDs that it has assigned. If nothing has started, it reads one small file.
func (n *Namespaces) AssignNew(now time.Time) (fresh []int, err error) {
	last, err := n.load.lastProcess()
	if err != nil {
		return nil, err
	}
	n.noteStarted(last, now)
	if len(n.young) > 0 {
		fresh, err = n.assignYoung(now)
	}
	if n.mounts.hasChanged() {
		fresh = append(fresh, n.assignFiles()...)
	}
	return fresh, err
}

// manyStarted is the number of started processes from which on listing all processes is
// cheaper than inspecting each.
const manyStarted = 4096

// noteStarted notes the processes that have started since the last call. The kernel
// gives ascending IDs until it wraps around.
func (n *Namespaces) noteStarted(last int, now time.Time) {
	if last < n.last || last-n.last > manyStarted {
		for _, pid := range network.ProcessIDs() {
			n.young[pid] = now
		}
	} else {
		for pid := n.last + 1; pid <= last; pid++ {
			n.young[pid] = now
		}
	}
	n.last = last
}

// assignYoung inspects the young processes, and forgets those that have ended or are old.
func (n *Namespaces) assignYoung(now time.Time) (fresh []int, err error) {
	var errs []error
	for pid, since := range n.young {
		id, isFresh, err := n.host.AssignNSIDOfProcess(pid)
		if isFresh {
			fresh = append(fresh, id)
		}
		if err != nil && !network.IsGone(err) {
			errs = append(errs, err)
		}
		if err != nil || now.Sub(since) > youth {
			delete(n.young, pid)
		}
	}
	return fresh, errors.Join(errs...)
}

// assignFiles inspects the mounts. It skips a file that is no namespace (yet).
func (n *Namespaces) assignFiles() (fresh []int) {
	for _, path := range network.NamespaceFiles() {
		if id, isFresh, err := n.host.AssignNSIDOfFile(path); err == nil && isFresh {
			fresh = append(fresh, id)
		}
	}
	return fresh
}

// mountWatch reports changes of the mounts in the process's mount namespace. A host may have
// thousands of mounted namespaces, so they are inspected only after a change.
type mountWatch struct{ fd int } // of /proc/self/mountinfo, or 0 if it is not open

// hasChanged reports whether the mounts may have changed since the last call: proc_pid_mounts(5).
// Each reader of the file is told of a change once, so it is no os.File, which Go's runtime polls.
func (w *mountWatch) hasChanged() bool {
	if w.fd == 0 {
		if fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			w.fd = fd // until the process ends
		}
		return true
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLPRI}}, 0)
	return n > 0 || err != nil
}

// loadFile is /proc/loadavg, which has the ID of the process that was started last. It is read often, so
// it stays open.
type loadFile struct{ fd int } // 0 if it is not open

// lastProcess returns the ID of the process or thread that was started last, the last field of
// /proc/loadavg (proc_loadavg(5)).
func (f *loadFile) lastProcess() (int, error) {
	fail := func(err error) (int, error) { return 0, fmt.Errorf("read the last process's id: %w", err) }
	if f.fd == 0 {
		fd, err := unix.Open("/proc/loadavg", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fail(&os.PathError{Op: "open", Path: "/proc/loadavg", Err: err})
		}
		f.fd = fd // until the process ends
	}
	var text [128]byte
	n, err := unix.Pread(f.fd, text[:], 0)
	if err != nil {
		return fail(&os.PathError{Op: "read", Path: "/proc/loadavg", Err: err})
	}
	fields := bytes.Fields(text[:n])
	if len(fields) == 0 {
		return fail(errors.New("/proc/loadavg is empty"))
	}
	last, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil {
		return fail(err)
	}
	return last, nil
}
