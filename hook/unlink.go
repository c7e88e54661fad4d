package hook

import (
	"time"

	"golang.org/x/sys/unix"

	"berth/network"
)

// unlinker deletes links by another process and returns as soon as they are
// deleted.
//
// RTM_DELLINK takes a link out of its namespace and off its parent within 1 to 2
// ms, under the lock of rtnetlink; the caller then waits another 15 to 20 ms for
// the last readers of the link's memory (netdev_run_todo in net/core/dev.c). A
// container's end need not wait for that.
type unlinker struct {
	*network.Handle
	start func(nsid int, name string) error // see [Hook.Unlink]
}

// unlinkBound bounds the wait for the other process, after which this process
// deletes the link; unlinkPause is the interval between two checks.
const (
	unlinkBound = 500 * time.Millisecond
	unlinkPause = 200 * time.Microsecond
)

// DeleteIn is [network.Handle.DeleteIn], done by the other process.
func (u unlinker) DeleteIn(nsid int, name string) error {
	if u.start(nsid, name) != nil {
		return u.Handle.DeleteIn(nsid, name)
	}
	for until := time.Now().Add(unlinkBound); time.Now().Before(until); {
		if _, err := u.LinkIn(nsid, name); network.IsGone(err) {
			return nil
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: unlinkPause.Nanoseconds()}, nil) // time.Sleep takes longer
	}
	return u.Handle.DeleteIn(nsid, name)
}

// Unlink deletes the link with an alternative name in the namespace with an ID.
// It succeeds if the link does not exist.
func Unlink(nsid int, name string) error {
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	if err := host.DeleteIn(nsid, name); !network.IsGone(err) {
		return err
	}
	return nil
}
