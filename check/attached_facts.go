package check

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"berth/internal/state"
	"berth/network"
)

// Seen is the kernel's state of one attachment.
type Seen struct {
	Err       error                 // of finding the link; network.ErrNoNamespace if its namespace is dead
	Link      *network.LinkInfo     // nil if there is none of its name
	Addresses []network.AddressInfo // of the link
	AddrErr   error
	Routes    []network.RouteInfo // of the namespace
	RouteErr  error
	Parent    *network.LinkInfo // nil if it is no longer on the host
	PID       int               // of a process in the namespace; 0 if none is known
}

// Attached compares the selected live attachments with the kernel's state. It returns an
// error if the records cannot be read.
func (c *Checker) Attached(ctx context.Context, want func(*state.Attachment) bool) ([]Line, error) {
	var records []*state.Attachment
	err := state.Open(c.Dirs.State).View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if want == nil || want(a) {
				records = append(records, a)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(records, func(a, b *state.Attachment) int {
		return strings.Compare(c.nameOf(a)+"\x00"+a.Interface, c.nameOf(b)+"\x00"+b.Interface)
	})
	cookies := make(map[uint64]bool)
	for _, a := range records {
		cookies[a.Cookie] = true
	}
	places := c.findNamespaces(cookies)
	defer func() {
		for _, p := range places {
			_ = p.ns.Close() // not needed any more
		}
	}()
	var lines []Line
	for _, a := range records {
		lines = append(lines, judgeAttached(c.nameOf(a), a, c.readSeen(a, places[a.Cookie]), time.Now())...)
	}
	if len(records) == 0 {
		r := report{subject: "host"}
		r.addPass("attached", "nothing")
		lines = r.lines
	}
	return lines, nil
}

// readSeen reads the kernel's state of one attachment.
func (c *Checker) readSeen(a *state.Attachment, p place) (s Seen) {
	s.PID = p.pid
	if parent, err := c.Host.LinkByIndex(a.ParentIndex); err == nil {
		s.Parent = &parent
	}
	link, err := c.Host.LinkIn(a.NSID, a.Interface)
	switch {
	case errors.Is(err, network.ErrNoLink):
		return s
	case err != nil:
		s.Err = err
		return s
	}
	s.Link = &link
	s.Addresses, s.AddrErr = c.Host.AddressesIn(a.NSID, link.Index)
	if s.Routes, s.RouteErr = nil, errNoEntry; p.ns != nil {
		s.Routes, s.RouteErr = routesIn(p.ns)
	}
	return s
}

func routesIn(ns *network.Namespace) ([]network.RouteInfo, error) {
	h, err := ns.Open()
	if err != nil {
		return nil, err
	}
	return h.Routes()
}
