package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"berth/agent/names"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// whileHeld calls fn with a context that has ended, while another process has the lock of the
// store: fn cannot read it.
func whileHeld(t *testing.T, store *state.Store, fn func(context.Context)) {
	t.Helper()
	ended, end := context.WithCancel(t.Context())
	end()
	mustSucceed(t, store.Update(t.Context(), func(tx *state.Tx) error {
		tx.Quiet()
		fn(ended)
		return nil
	}))
}

// storeWith returns a store with one attachment, and its records: read if read is set.
func storeWith(t *testing.T, at *state.Attachment, read bool) (*state.Store, *records) {
	t.Helper()
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r := newRecords(store, testFormat(), slog.New(slog.DiscardHandler))
	mustSucceed(t, store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(at) }))
	if read {
		testnet.Eventually(t, "the reading is final", func() bool {
			_, err := r.currentReading(t.Context())
			mustSucceed(t, err)
			return r.isFresh(r.last)
		})
	}
	return store, r
}

// renamer is an engine that has given a container a new name.
type renamer struct{ names.Enricher }

func (renamer) Names(context.Context, string) (*state.Names, error) {
	return &state.Names{Engine: specs.EngineDocker, Name: "new"}, nil
}

// TestRenamedContainerStaysDue requires that the new name of a container is stored although the
// store could not be read or written when the engine reported it.
func TestRenamedContainerStaysDue(t *testing.T) {
	for name, read := range map[string]bool{"records not read": false, "name not stored": true} {
		t.Run(name, func(t *testing.T) {
			at := scaleAttachment(1)
			at.Engine = &state.Names{Engine: specs.EngineDocker, Name: "old", Of: at.Containers[0]}
			store, r := storeWith(t, at, read)
			n := &namer{engines: []names.Enricher{renamer{}}, store: store, records: r, log: slog.New(slog.DiscardHandler),
				wakes: make(chan struct{}, 1), dueIDs: make(map[string]bool), passDone: make(chan struct{}),
				loggedErrors: make(map[string]bool)}
			n.askAgain(at.Containers[0])
			whileHeld(t, store, func(ended context.Context) {
				if !n.namePending(ended) {
					t.Error("no retry is due after an error")
				}
			})
			if n.namePending(t.Context()) {
				t.Error("a retry is due")
			}
			mustSucceed(t, store.View(t.Context(), func(tx *state.Tx) error {
				now, err := tx.Attachment(at.Key())
				if err == nil && now.Engine.Name != "new" {
					t.Errorf("the name is %q, want \"new\"", now.Engine.Name)
				}
				return err
			}))
		})
	}
}

// TestChangedInterfaceStaysDue requires that a changed interface is compared with its record
// although the store could not be read when the change was noted.
func TestChangedInterfaceStaysDue(t *testing.T) {
	for name, read := range map[string]bool{"records not read": false, "attachment not read": true} {
		t.Run(name, func(t *testing.T) {
			at := scaleAttachment(1)
			store, r := storeWith(t, at, read)
			d := &drifter{a: &Agent{store: store, records: r}, reported: make(map[string]reportedFindings),
				changedLinks: map[linkID]bool{{at.NSID, at.LinkIndex}: true}}
			for _, one := range r.last.all {
				one.compared.Store(true)
			}
			whileHeld(t, store, func(ended context.Context) {
				if d.inspectDue(ended) == nil {
					t.Error("no error while the store cannot be read")
				}
			})
			isDue := d.changedLinks[linkID{at.NSID, at.LinkIndex}]
			for _, one := range r.last.all {
				isDue = isDue || !one.compared.Load()
			}
			if !isDue {
				t.Error("the interface is not compared again")
			}
		})
	}
}
