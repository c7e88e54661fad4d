package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"berth/agent/ground"
	"berth/bpf"
	"berth/specs"
)

// backend implements the requests of the socket.
type backend struct{ *Agent }

// recentFor is the age up to which the state of a reconciliation is recent: two are missing, since
// each inspection reconciles.
const recentFor = 2 * inspection

// Status implements api.Backend.
func (b backend) Status(ctx context.Context) (specs.AgentStatus, error) {
	return b.statusOf(b.reconcileNow(ctx))
}

// RecentStatus implements api.Backend. A change of the host or of a file wakes the loop in any case, so the
// state is seldom older than that.
func (b backend) RecentStatus(ctx context.Context) (specs.AgentStatus, error) {
	if time.Since(b.status.Load().LastReconciled) > recentFor {
		return b.Status(ctx)
	}
	return b.statusOf(nil)
}

// statusOf returns the state of the last reconciliation. late is set if one was due since.
func (b backend) statusOf(late error) (specs.AgentStatus, error) {
	status := *b.status.Load()
	status.Cluster = b.member != nil
	status.Problems = slices.Concat(status.Problems, b.troubles.texts())
	if late != nil {
		status.Problems = append(status.Problems, late.Error())
	}
	return status, b.maps.useMaps(func(maps *bpf.Maps) (err error) {
		if maps == nil {
			return nil
		}
		status.MaxEndpoints = int(maps.Slots()) - 1
		status.EventsLost, err = maps.EventsLost()
		return err
	})
}

// Ready implements api.Backend.
func (b backend) Ready() error {
	if err := b.reconcileNow(context.Background()); err != nil {
		return err
	}
	status := b.status.Load()
	if !status.Attached {
		return errors.New("the programs were detached on request; attach them with `berth agent attach`")
	}
	for _, p := range status.Parents {
		if p.State == specs.ParentFailed {
			return errors.New(p.Problem)
		}
	}
	return nil
}

// Detach implements api.Backend.
func (b backend) Detach(ctx context.Context, purge bool) error {
	return b.runInLoop(ctx, func() error {
		b.off = true
		if b.datapath == nil {
			return nil
		}
		b.log.Info("detaching on request", "purge", purge)
		if !purge {
			return b.datapath.DetachAll()
		}
		err := b.datapath.Purge()
		return errors.Join(err, b.closeDatapath())
	})
}

// Attach implements api.Backend.
func (b backend) Attach(ctx context.Context) error {
	return b.runInLoop(ctx, func() error {
		if b.datapath == nil {
			if err := b.openDatapath(); err != nil {
				return err
			}
			b.readEvents()
			b.observer.noteAll() // namespaces are found by the maps
		}
		b.log.Info("attaching on request")
		b.off = false
		return b.datapath.Resume()
	})
}

// openDatapath pins the maps and loads the programs. Records are read after it, so a hook
// either finds the pinned maps or its record is found.
func (a *Agent) openDatapath() (err error) {
	if a.pinLock, err = ground.LockBPFFS(a.o.Dirs.BPFFS); err != nil {
		return explainDatapath(err)
	}
	d, err := bpf.Load(a.o.Dirs.BPFFS, bpf.Options{MaxEndpoints: a.config.MaxEndpoints, Attach: a.config.Attach})
	if err != nil {
		return errors.Join(explainDatapath(err), a.pinLock.Close())
	}
	reader, err := d.Events()
	if err != nil {
		return errors.Join(explainDatapath(err), d.Close(), a.pinLock.Close())
	}
	a.datapath, a.reader = d, reader
	a.done, a.failed = map[int]specs.MAC{}, map[int]string{}
	a.generation++
	a.vlans, a.isolated = nil, nil
	a.maps.setMaps(d.Maps())
	own := d.InsidePrograms()
	a.filters.own.Store(&own)
	return nil
}

// closeDatapath closes maps and programs; pinned objects stay.
func (a *Agent) closeDatapath() error {
	if a.datapath == nil {
		return nil
	}
	a.maps.setMaps(nil)
	a.filters.own.Store(nil)
	err := errors.Join(a.reader.Close(), a.datapath.Close(), a.pinLock.Close())
	a.datapath, a.reader = nil, nil
	clear(a.done)
	if err != nil {
		return fmt.Errorf("close the datapath: %w", err)
	}
	return nil
}

// keepPinned pins deleted pins again, with their counts, and makes every endpoint be
// registered again.
func (a *Agent) keepPinned() error {
	if a.datapath == nil {
		return nil
	}
	dir := a.o.Dirs.BPFFS
	if !ground.StillAt(a.pinLock, dir) {
		lock, err := ground.LockBPFFS(dir)
		if err != nil {
			return explainDatapath(err)
		}
		a.pinLock.Close()
		a.pinLock = lock
	}
	missing, err := a.datapath.Repin()
	if missing {
		a.log.Warn("pinned objects were removed while the agent was running; pinning them again", "directory", dir)
		a.generation++
		a.isolated = nil
	}
	if err != nil {
		return explainDatapath(err)
	}
	return nil
}
