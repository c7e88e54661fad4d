package hook

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"berth/network"
)

// unlinker deletes links by another process and returns as soon as they are
// gone.
//
// RTM_DELLINK takes a link out of its namespace and off its parent within 1 to
// 2 ms, under the lock of rtnetlink; the caller then waits another 15 to 20 ms
// for what may still read the link's memory (netdev_run_todo in
// net/core/dev.c). A container's end need not wait for that.
type unlinker struct {
	*network.Handle
	start func(nsid, index int, alias string) error // see [Hook.Unlink]
}

// How long another process may take to delete a link, after which this one
// does it, and how long is waited between two looks.
const (
	unlinkBound = 500 * time.Millisecond
	unlinkLook  = 200 * time.Microsecond
)

// DeleteIn is [network.Handle.DeleteIn].
func (u unlinker) DeleteIn(nsid, index int) error {
	link, err := u.LinkAtIn(nsid, index)
	if err != nil {
		return fmt.Errorf("delete interface %d in namespace %d: %w", index, nsid, err)
	}
	if u.start(nsid, index, link.Alias) != nil {
		return u.Handle.DeleteIn(nsid, index)
	}
	for until := time.Now().Add(unlinkBound); time.Now().Before(until); {
		now, err := u.LinkAtIn(nsid, index)
		if network.IsGone(err) || err == nil && now.Alias != link.Alias {
			return nil
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: unlinkLook.Nanoseconds()}, nil) // less than Go's own sleeps can
	}
	return u.Handle.DeleteIn(nsid, index)
}

// Unlink deletes the link with an index in the namespace with an id if it has
// the alias, which names the attachment: ids and indices are used again. One
// that is gone is no error.
func Unlink(nsid, index int, alias string) error {
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	link, err := host.LinkAtIn(nsid, index)
	if err == nil && link.Alias == alias {
		err = host.DeleteIn(nsid, index)
	}
	if network.IsGone(err) {
		return nil
	}
	return err
}
