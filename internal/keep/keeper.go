package keep

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"berth/internal/state"
	"berth/network"
)

// Keeper keeps the leases of one STATE directory. Its fields are set before Run.
type Keeper struct {
	Store *state.Store
	BPFFS string
	Log   *slog.Logger

	// Step, if set, is called with the name of each step that changes something.
	// Tests kill the process there.
	Step func(name string)

	host *network.Handle
	done sync.WaitGroup

	mu      sync.Mutex
	clients map[clientKey]*client
	pids    map[uint64]int // a process in each namespace, by cookie
}

// clientKey identifies a client: the attachment's key, its creation (a later attachment may
// have the same key), and the family.
type clientKey struct {
	attachment string
	created    int64 // ns since 1970
	ipv6       bool
}

// recheck is the interval at which the records are read even without a notification, in case
// one was lost.
const recheck = 30 * time.Second

// settle is the time for which changes are collected before the records are read.
const settle = 20 * time.Millisecond

// Run keeps leases until the context ends. If untilNone is set, it returns nil as soon
// as there is none, and removes the mark by which a keeper is started
// ([state.Store.MarkLeases]).
func (k *Keeper) Run(ctx context.Context, untilNone bool) (err error) {
	k.clients, k.pids = make(map[clientKey]*client), make(map[uint64]int)
	if k.host, err = network.NewHandle(); err != nil {
		return err
	}
	defer k.host.Close()
	if err := k.Store.Prepare(); err != nil {
		return err
	}
	unlock, err := k.holdKeeper(ctx)
	if err != nil || unlock == nil {
		return err
	}
	defer unlock()
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watch.Close()
	if err := watch.Add(k.Store.Dir()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer k.done.Wait()
	defer stop()
	go k.followLinks(ctx, func() (network.ChangeSource, error) { return network.ListenChanges() })
	go k.followClock(ctx)
	return k.followRecords(ctx, watch, untilNone)
}

// followRecords starts and ends clients as the records change, until the context ends or, if
// untilNone is set, there is no lease.
func (k *Keeper) followRecords(ctx context.Context, watch *fsnotify.Watcher, untilNone bool) error {
	for {
		left, err := k.sync(ctx)
		if err != nil && ctx.Err() == nil {
			k.Log.Error("read the records", "error", err)
		}
		if untilNone && err == nil && left == 0 {
			if ended, err := k.end(ctx); ended || err != nil {
				return err
			}
		}
		if !k.waitChange(ctx, watch) {
			return nil
		}
	}
}

// holdKeeper waits until no other keeper works on the directory. unlock is nil if the
// context ended.
func (k *Keeper) holdKeeper(ctx context.Context) (unlock func(), err error) {
	for ctx.Err() == nil {
		unlock, err = k.Store.Hold(ctx, state.KeeperKey)
		if !errors.Is(err, state.ErrBusy) {
			return unlock, err
		}
		k.Log.Info("another berth-dhcp keeps the leases; waiting for its end")
	}
	return nil, nil
}

// end removes the mark of leases unless there is one again.
func (k *Keeper) end(ctx context.Context) (ended bool, err error) {
	err = k.Store.Update(ctx, func(tx *state.Tx) error {
		tx.Quiet()
		all, err := tx.WithDHCP()
		if err != nil || len(all) > 0 {
			return err
		}
		ended = true
		return k.Store.UnmarkLeases()
	})
	return ended, err
}

// waitChange waits until the records may have changed. It returns false if the context
// ended.
func (k *Keeper) waitChange(ctx context.Context, watch *fsnotify.Watcher) bool {
	again := time.NewTimer(recheck)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
			return true
		case e, ok := <-watch.Events:
			if !ok {
				return false
			}
			if e.Name == k.Store.Changed() {
				again.Reset(settle)
			}
		case err := <-watch.Errors:
			k.Log.Warn("watch the records", "error", err)
			again.Reset(settle)
		}
	}
}

// sync starts a client for each lease that has none, and ends those whose attachment
// has ended. It returns the number of leases.
func (k *Keeper) sync(ctx context.Context) (int, error) {
	var all []*state.Attachment
	err := k.Store.View(ctx, func(tx *state.Tx) (err error) {
		all, err = tx.WithDHCP()
		return err
	})
	if err != nil {
		return 0, err
	}
	wanted, namespaces := make(map[clientKey]bool), make(map[uint64]bool)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range all {
		if !isKept(a) {
			continue
		}
		namespaces[a.Cookie] = true
		for i := range a.DHCP {
			if a.DHCP[i].Unmanaged {
				continue
			}
			key := clientKey{a.Key(), a.Created.UnixNano(), a.DHCP[i].IPv6}
			wanted[key] = true
			if k.clients[key] == nil {
				k.clients[key] = k.newClient(ctx, key, a)
			}
			k.clients[key].follow(a)
		}
	}
	for key, c := range k.clients {
		if !wanted[key] {
			c.stop()
			delete(k.clients, key)
		}
	}
	maps.DeleteFunc(k.pids, func(cookie uint64, _ int) bool { return !namespaces[cookie] })
	return len(all), nil
}

// followLinks passes to clients that their link was down and is up again. If the socket of the kernel's
// notifications fails, it opens another one, and wakes all clients.
func (k *Keeper) followLinks(ctx context.Context, open func() (network.ChangeSource, error)) {
	first, err := open()
	if err != nil {
		k.Log.Warn("links are not watched: leases are not confirmed after a link was down", "error", err)
		return
	}
	links := network.NewListener(first, open, func(err error) {
		if err != nil {
			k.Log.Warn("the kernel's notifications of links fail; listening again", "error", err)
		}
	})
	context.AfterFunc(ctx, func() { _ = links.Close() })
	for {
		all, err := links.Next()
		if err != nil {
			return // it is closed
		}
		for _, c := range all {
			if c.Lost || !c.Address {
				k.linkChanged(c)
			}
		}
	}
}

// follow notes the link of the record, and wakes the client if it is another one: it
// vanished with its parent and was made again. The caller holds Keeper.mu.
func (c *client) follow(a *state.Attachment) {
	if c.nsid == a.NSID && c.index == a.LinkIndex {
		return
	}
	c.nsid, c.index = a.NSID, a.LinkIndex
	c.wake()
}

// wake makes the client take a turn soon.
func (c *client) wake() {
	select {
	case c.linkChanged <- struct{}{}:
	default: // one is pending
	}
}

// linkChanged passes a change of a link to the clients on it.
func (k *Keeper) linkChanged(c network.Change) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.clients {
		if c.Lost || one.nsid == c.NSID && one.index == c.Index {
			one.wake()
		}
	}
}
