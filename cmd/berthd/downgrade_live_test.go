package main

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestReturnFromAnEarlierVersion starts a container in a network that enforces, while a berth runs that
// does not keep the index of such containers. After the next start of the agent, berth gc attaches the
// receiver program to its sibling, as berth agent status advises.
func TestReturnFromAnEarlierVersion(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	open := l.attachContainer("open", 1)
	testnet.Process(t, open.ns)
	strict := l.attachAs("strict", 2, func(at *state.Attachment) { at.Enforce = []specs.Kind{specs.MACSpoof} })
	strict.attachPrograms(bpf.SiblingProgram, bpf.ReceiverProgram)
	a.stopAgent(syscall.SIGTERM)
	l.forgetEnforcing(strict.record.Domain() + "/" + strict.record.Key())
	l.startAgent()
	l.answersFailed("forged multicast and broadcast frames can reach some of its interfaces")
	h := openHandle(t, l.openNamespace(l.host))
	r := release.Releaser{Store: l.store, BPFFS: l.bpffs, Host: h, Log: slog.New(slog.DiscardHandler)}
	if done, err := r.AttachOwnPrograms(t.Context()); err != nil || done != (release.OwnProgramsDone{Attached: 1}) {
		t.Errorf("berth gc: %+v, %v, want one attached", done, err)
	}
	l.answersCounting("every interface has its programs")
}

// forgetEnforcing deletes an entry of the index of enforcing attachments, which must exist.
func (l *lab) forgetEnforcing(key string) {
	l.t.Helper()
	db, err := bbolt.Open(filepath.Join(l.store.Dir(), "berth.db"), 0o600, &bbolt.Options{Timeout: time.Minute})
	mustSucceed(l.t, err)
	defer db.Close()
	mustSucceed(l.t, db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("enforcing"))
		if b == nil || b.Get([]byte(key)) == nil {
			l.t.Fatalf("the index has no %q", key)
		}
		return b.Delete([]byte(key))
	}))
}
