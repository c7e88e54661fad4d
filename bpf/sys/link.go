package sys

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// AttachType is the direction of a tcx program: a number of enum bpf_attach_type.
type AttachType uint32

// The directions.
const (
	Ingress AttachType = unix.BPF_TCX_INGRESS
	Egress  AttachType = unix.BPF_TCX_EGRESS
)

// Link is a link: a program on an interface.
type Link struct{ object }

// LoadPinnedLink opens a pinned link. The error wraps fs.ErrNotExist if there is none.
func LoadPinnedLink(path string) (*Link, error) {
	fd, err := openPinned(path)
	if err != nil {
		return nil, err
	}
	return &Link{object{fd}}, nil
}

type createAttr struct {
	program uint32
	ifindex uint32
	attach  AttachType
	flags   uint32
	_, _    uint32 // relative to a program or link
	_       uint64 // revision
}

// AttachFirst attaches a program to an interface, before all others of that direction. It
// returns [ErrNotSupported] on a kernel without tcx.
func AttachFirst(program, ifindex int, attach AttachType) (*Link, error) {
	fd, err := openObject(unix.BPF_LINK_CREATE, &createAttr{
		program: uint32(program), ifindex: uint32(ifindex), attach: attach, flags: unix.BPF_F_BEFORE,
	})
	if err == nil {
		return &Link{object{fd}}, nil
	}
	if !HasTCX() {
		return nil, ErrNotSupported
	}
	return nil, fmt.Errorf("attach tcx link: %w", err)
}

type updateAttr struct {
	link, program uint32
	_, _          uint32 // flags, the old program
}

// Update replaces the program of a link. The error is unix.ENOLINK if its interface is gone.
func (l *Link) Update(program int) error {
	_, err := bpfCall(unix.BPF_LINK_UPDATE, &updateAttr{link: uint32(l.fd), program: uint32(program)})
	return err
}

type detachAttr struct{ link uint32 }

// Detach takes the program off the interface, even if other processes have the link open.
func (l *Link) Detach() error {
	if _, err := bpfCall(unix.BPF_LINK_DETACH, &detachAttr{uint32(l.fd)}); err != nil {
		return fmt.Errorf("detach link: %w", err)
	}
	return nil
}

// Pin pins the link.
func (l *Link) Pin(path string) error { return Pin(l.fd, path) }

// Clone returns the link with another file descriptor.
func (l *Link) Clone() (*Link, error) {
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("duplicate link", err)
	}
	return &Link{object{fd}}, nil
}

// Close closes the file descriptor. A link that is not pinned is detached.
func (l *Link) Close() error { return l.close() }

// LinkInfo is the kernel's information on a tcx link.
type LinkInfo struct {
	ID      uint32
	Program uint32 // its id
	IfIndex uint32 // 0 if the interface is gone
}

// Info returns the kernel's information; ok is false if the link is not one of tcx.
func (l *Link) Info() (i LinkInfo, ok bool, err error) {
	var info struct{ kind, id, program, _, ifindex, _ uint32 }
	err = readInfo(l.fd, &info)
	return LinkInfo{info.id, info.program, info.ifindex}, err == nil && info.kind == unix.BPF_LINK_TYPE_TCX, err
}

type queryAttr struct {
	ifindex  uint32
	attach   AttachType
	_, _     uint32 // flags
	programs pointer
	count    uint32
	_        uint32
	_        uint64 // flags of the programs
	links    pointer
	_, _     uint64 // flags of the links, revision
}

// Attached is a tcx program on an interface.
type Attached struct{ Program, Link uint32 } // ids; Link is 0 if it was attached without one

// QueryTCX returns the tcx programs of an interface in the order in which they run.
func QueryTCX(ifindex int, attach AttachType) ([]Attached, error) {
	for room := uint32(8); ; room *= 2 {
		programs, links := make([]uint32, room), make([]uint32, room)
		q := queryAttr{
			ifindex: uint32(ifindex), attach: attach,
			programs: pointer(&programs[0]), links: pointer(&links[0]), count: room,
		}
		_, err := bpfCall(unix.BPF_PROG_QUERY, &q)
		if err == unix.ENOSPC {
			continue // there are more
		} else if err != nil {
			return nil, fmt.Errorf("query programs: %w", err)
		}
		all := make([]Attached, min(q.count, room))
		for i := range all {
			all[i] = Attached{programs[i], links[i]}
		}
		return slices.Clip(all), nil
	}
}

// HasTCX reports whether the kernel has tcx. It is true if the kernel refuses the query for another
// reason, such as a missing capability: a caller gets that error when it attaches.
func HasTCX() bool { return answer.has() }

var answer tcxAnswer

// tcxAnswer keeps the kernel's answer, once it has given one.
type tcxAnswer struct{ given, is atomic.Bool }

func (a *tcxAnswer) has() bool {
	if a.given.Load() {
		return a.is.Load()
	}
	const loopback = 1
	_, err := QueryTCX(loopback, Egress)
	has := !isUnknownToKernel(err)
	if err == nil || !has {
		a.is.Store(has)
		a.given.Store(true)
	}
	return has
}

// isUnknownToKernel reports whether a call of bpf(2) failed because the kernel does not know the attach
// type (EINVAL), a member of its attributes (E2BIG), or the system call itself.
func isUnknownToKernel(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSYS)
}
