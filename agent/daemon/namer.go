package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"berth/agent/names"
	"berth/internal/state"
	"berth/specs"
)

// Every container is asked about again each nameAgain, for changes without a notification,
// and nameRetry after an error. A scrape waits up to nameWait for the names of a new
// container. One transaction writes up to nameAtOnce records.
const (
	nameAgain   = 5 * time.Minute
	nameRetry   = 5 * time.Second
	nameWait    = 100 * time.Millisecond
	nameAtOnce  = 32
	nameCatchUp = 2 * time.Second // between two attempts to follow an engine
)

// namer asks the engines for the names of containers, and stores them in the records, so
// that they outlive the container and the agent.
type namer struct {
	engines []names.Enricher
	store   *state.Store
	records *records
	log     *slog.Logger
	wakes   chan struct{}

	mu       sync.Mutex
	allDue   bool            // ask about all
	dueIDs   map[string]bool // ask about these containers
	passDone chan struct{}   // closed after a pass, and replaced

	loggedErrors map[string]bool // errors that are in the log already; belongs to the goroutine of nameContainers
}

// newNamer returns a namer for the configured engines.
func newNamer(c specs.Agent, store *state.Store, r *records, log *slog.Logger) (*namer, error) {
	n := &namer{store: store, records: r, log: log, wakes: make(chan struct{}, 1),
		allDue: true, dueIDs: make(map[string]bool), passDone: make(chan struct{}), loggedErrors: make(map[string]bool)}
	if c.Docker != "" {
		n.engines = append(n.engines, names.Docker(c.Docker))
	}
	if c.Podman != "" {
		n.engines = append(n.engines, names.Podman(c.Podman))
	}
	for _, socket := range c.Containerd {
		one, err := names.Containerd(socket, c.ContainerdNamespaces)
		if err != nil {
			return nil, err
		}
		n.engines = append(n.engines, one)
	}
	return n, nil
}

// wakeNamer makes the namer check the records. It does not block.
func (n *namer) wakeNamer() { poke(n.wakes) }

// askAgain schedules a container to be asked about again, or all of them if id is "".
func (n *namer) askAgain(id string) {
	n.mu.Lock()
	if id == "" {
		n.allDue = true
	} else {
		n.dueIDs[id] = true
	}
	n.mu.Unlock()
	n.wakeNamer()
}

// nameContainers names containers until ctx is done.
func (n *namer) nameContainers(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	for _, e := range n.engines {
		watching.Go(func() { n.watchEngine(ctx, e) })
	}
	tick := time.NewTicker(nameAgain)
	defer tick.Stop()
	for {
		retry := n.namePending(ctx)
		var soon <-chan time.Time
		if retry {
			soon = time.After(nameRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-n.wakes:
		case <-soon:
		case <-tick.C:
			n.askAgain("")
		}
	}
}

func (n *namer) watchEngine(ctx context.Context, e names.Enricher) {
	logged := ""
	for ctx.Err() == nil {
		err := e.Watch(ctx, n.askAgain)
		if err != nil && err.Error() != logged {
			logged = err.Error()
			n.log.Warn("cannot follow the engine's container names; trying again", "engine", e.String(), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(nameCatchUp):
		}
	}
}

// waitForNames waits a moment for the names of new containers, so that the first scrape has them.
func (n *namer) waitForNames(ctx context.Context) {
	if len(n.engines) == 0 {
		return
	}
	n.mu.Lock()
	passed := n.passDone
	n.mu.Unlock()
	now, err := n.records.currentReading(ctx)
	if err != nil || !slices.ContainsFunc(now.all, (*record).isUnasked) {
		return
	}
	n.wakeNamer()
	select {
	case <-passed:
	case <-time.After(nameWait):
	case <-ctx.Done():
	}
}

// isUnasked reports whether no engine was asked about a container since it started. It is
// false while the container is being attached: that attachment belongs to its hook.
func (r *record) isUnasked() bool {
	return r.unnamed && r.phase != specs.PhaseAttaching && !r.asked.Load()
}

// namePending asks the engines about the scheduled and the new containers. It reports whether a
// retry is due soon.
func (n *namer) namePending(ctx context.Context) (retry bool) {
	n.mu.Lock()
	all, ids, passed := n.allDue, n.dueIDs, n.passDone
	n.allDue, n.dueIDs, n.passDone = false, make(map[string]bool), make(chan struct{})
	n.mu.Unlock()
	defer close(passed)
	if len(n.engines) == 0 {
		return false
	}
	now, err := n.records.currentReading(ctx)
	if err != nil {
		n.keepDue(all, ids)
		return n.logFailure(ctx, err)
	}
	due := slices.DeleteFunc(slices.Clone(now.all), func(r *record) bool {
		return r.phase == specs.PhaseAttaching || r.observed && !r.unnamed && r.Image == "" ||
			!(r.isUnasked() || r.isLive() && (all || ids[r.ContainerID]))
	})
	var errs []error
	for some := range slices.Chunk(due, nameAtOnce) {
		errs = append(errs, n.nameRecords(ctx, some))
	}
	return n.logFailure(ctx, errors.Join(errs...))
}

// keepDue schedules the same containers again, after an error.
func (n *namer) keepDue(all bool, ids map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.allDue = n.allDue || all
	maps.Copy(n.dueIDs, ids)
}

// logFailure logs an error, once for each text as long as it recurs.
func (n *namer) logFailure(ctx context.Context, err error) bool {
	if err == nil {
		clear(n.loggedErrors)
	} else if text := err.Error(); ctx.Err() == nil && !n.loggedErrors[text] {
		clear(n.loggedErrors)
		n.loggedErrors[text] = true
		n.log.Warn("cannot read all container names", "error", err)
	}
	return err != nil
}

// nameRecords asks the engines about some containers and stores new answers. If it cannot store
// them, it asks again.
func (n *namer) nameRecords(ctx context.Context, some []*record) error {
	answers := make([]*state.Names, len(some))
	var failed error
	for i, r := range some {
		answer, err := n.askEngines(ctx, r)
		if err != nil {
			failed = err // one error is enough for the log
			n.keepDue(false, map[string]bool{r.ContainerID: true})
		}
		if err == nil || r.unnamed {
			answers[i] = answer
		}
	}
	err := n.storeNames(ctx, some, answers)
	for _, r := range some {
		if r.asked.Store(err == nil); err != nil {
			n.keepDue(false, map[string]bool{r.ContainerID: true})
		}
	}
	return errors.Join(failed, err)
}

// askEngines returns the names of the containers that share an attachment, or nil if the
// engines know none of them.
func (n *namer) askEngines(ctx context.Context, r *record) (*state.Names, error) {
	answer, err := names.Ask(ctx, n.engines, r.ContainerID)
	if err != nil || r.rareFacts().sharers == nil {
		return answer, err
	}
	all := state.Names{Sharers: make(map[string]string, len(r.rareFacts().sharers))}
	if answer != nil {
		all = *answer
		all.Sharers = make(map[string]string, len(r.rareFacts().sharers))
	}
	for _, id := range r.rareFacts().sharers {
		other, err := names.Ask(ctx, n.engines, id)
		if err != nil {
			return nil, err
		}
		if other == nil {
			other = new(state.Names)
		}
		all.Sharers[id] = other.Name
	}
	return &all, nil
}

// storeNames writes the answers that differ from the records. An engine forgets a removed
// container; its earlier answer stays.
func (n *namer) storeNames(ctx context.Context, some []*record, answers []*state.Names) error {
	fresh := func(tx *state.Tx, i int) *state.Names {
		at, err := tx.Current(some[i].keyFields())
		if answers[i] == nil || err != nil {
			return nil
		}
		now := mergeNames(at.Engine, answers[i], some[i].ContainerID)
		if reflect.DeepEqual(at.Engine, now) {
			return nil
		}
		return now
	}
	changes := false
	err := n.store.View(ctx, func(tx *state.Tx) error {
		for i := range some {
			changes = changes || fresh(tx, i) != nil
		}
		return nil
	})
	if err != nil || !changes {
		return err
	}
	return n.store.Update(ctx, func(tx *state.Tx) error {
		var errs []error
		for i, r := range some {
			if now := fresh(tx, i); now != nil {
				errs = append(errs, tx.SetNames(r.keyFields(), now))
			}
		}
		return errors.Join(errs...)
	})
}

// mergeNames returns an answer about a container, with missing fields taken from an earlier
// answer about the same container.
func mergeNames(before, now *state.Names, id string) *state.Names {
	all := *now
	all.Of = id
	if before == nil || before.Of != "" && before.Of != id {
		return &all
	}
	all.Engine = cmp.Or(all.Engine, before.Engine)
	all.Name = cmp.Or(all.Name, before.Name)
	all.Image = cmp.Or(all.Image, before.Image)
	all.Pod = cmp.Or(all.Pod, before.Pod)
	all.Namespace = cmp.Or(all.Namespace, before.Namespace)
	for sharer, name := range all.Sharers {
		all.Sharers[sharer] = cmp.Or(name, before.Sharers[sharer])
	}
	return &all
}
