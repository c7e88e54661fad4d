package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"

	"berth/internal/state"
	"berth/network"
)

// markRecheck is the interval at which the agent's mark is searched for even without a
// notification, in case one was lost.
const markRecheck = 30 * time.Second

// stayHealing makes vanished interfaces again whenever the agent marks that their parent is back,
// until the context ends. An attempt that fails is printed; the agent's next mark repeats it.
func stayHealing(ctx context.Context, env *Env, asJSON bool) error {
	if err := network.UnlockSysctls(); err != nil { // in a container they are read-only
		return err
	}
	store := state.Open(env.dirs.State)
	if err := store.Prepare(); err != nil {
		return err
	}
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch for the agent's mark: %w", err)
	}
	defer watch.Close()
	if err := watch.Add(store.Dir()); err != nil {
		return fmt.Errorf("watch %s for the agent's mark: %w", store.Dir(), err)
	}
	for {
		marked, err := store.IsHealMarked()
		if err == nil && marked {
			err = healInterfaces(ctx, env, asJSON)
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(env.Err, "berth: %v\n", err)
		}
		if !waitHealMark(ctx, watch, store.HealMark()) {
			return nil
		}
	}
}

// waitHealMark waits until the mark may exist. It returns false if the context ended.
func waitHealMark(ctx context.Context, watch *fsnotify.Watcher, mark string) bool {
	recheck := time.NewTimer(markRecheck)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-recheck.C:
			return true
		case <-watch.Errors: // some notifications were lost
			return true
		case e := <-watch.Events:
			if e.Name == mark && e.Has(fsnotify.Create) {
				return true
			}
		}
	}
}
