package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"berth/internal/cluster"
)

// Config is the [cluster] table of berth.toml, as far as it concerns etcd.
type Config struct {
	Endpoints    []string
	Prefix       string       // of all keys; "/berth/v1/" if empty
	Certificates Certificates // empty only for endpoints with the scheme http
	Presence     time.Duration
	Connected    func() // called after each new connection to a member, unless it is nil
}

// Limits of one answer: a domain of 1,000 nodes has about 20,000 keys.
const (
	maxEntries = 200_000
	maxAnswer  = 256 << 20 // bytes
)

// Errors of the store.
var (
	// ErrNotEtcd is returned if the server imitates etcd, as kine does: it has neither
	// leases nor transactions of several keys.
	ErrNotEtcd = errors.New("the server is not etcd (kine, for example, imitates it); berth needs etcd itself")
	// ErrTooLarge is returned if there are more keys below a prefix than berth writes.
	ErrTooLarge = errors.New("the store has too many keys")
)

// Store implements cluster.Store.
type Store struct {
	config Config
	prefix string

	mu      sync.Mutex
	current *connection
	files   string // the content of the files of certificates
	failed  error  // why there is no connection
	closed  bool
}

// Open returns a store. It does not wait for a connection, and certificates that cannot be used
// fail its requests only: the files may be mended later.
func Open(c Config) (*Store, error) {
	if err := checkEndpoints(c); err != nil {
		return nil, err
	}
	s := &Store{config: c, prefix: c.Prefix}
	if s.prefix == "" {
		s.prefix = "/berth/v1/"
	}
	_, s.failed = s.Renew()
	return s, nil
}

// checkEndpoints refuses a mixture of schemes: the client would use TLS for all or none.
func checkEndpoints(c Config) error {
	if len(c.Endpoints) == 0 {
		return errors.New("etcd: want at least one URL of an endpoint, as https://192.0.2.10:2379")
	}
	for _, e := range c.Endpoints {
		scheme, _, ok := strings.Cut(e, "://")
		if !ok || scheme != "http" && scheme != "https" {
			return fmt.Errorf("etcd endpoint %q: want a URL that begins with https://", e)
		}
		if (scheme == "https") != (c.Certificates != Certificates{}) {
			return fmt.Errorf("etcd endpoint %q: certificates are needed for https, and for no other scheme", e)
		}
	}
	return nil
}

// List implements cluster.Store. All ranges are read in one transaction, which is
// linearizable. A member that is silent delays it by askAgain.
func (s *Store) List(ctx context.Context, prefixes ...string) (cluster.Snapshot, error) {
	ops := make([]clientv3.Op, len(prefixes))
	for i, p := range prefixes {
		ops[i] = clientv3.OpGet(s.prefix+p, clientv3.WithPrefix(), clientv3.WithLimit(maxEntries))
	}
	c, err := s.connection()
	if err != nil {
		return cluster.Snapshot{}, err
	}
	r, err := s.readFirst(ctx, c, ops)
	if err != nil {
		return cluster.Snapshot{}, s.explain(c, err)
	}
	if r.Header.ClusterId == 0 {
		return cluster.Snapshot{}, ErrNotEtcd
	}
	if len(r.Responses) != len(ops) {
		return cluster.Snapshot{}, fmt.Errorf("%w: a transaction of %d reads has %d answers", ErrNotEtcd,
			len(ops), len(r.Responses))
	}
	return s.snapshot(r)
}

func (s *Store) snapshot(r *clientv3.TxnResponse) (cluster.Snapshot, error) {
	snapshot := cluster.Snapshot{Revision: r.Header.Revision}
	for _, part := range r.Responses {
		answer := part.GetResponseRange()
		if answer == nil {
			return cluster.Snapshot{}, ErrNotEtcd
		}
		if answer.More {
			return cluster.Snapshot{}, fmt.Errorf("%w: more than %d", ErrTooLarge, maxEntries)
		}
		for _, kv := range answer.Kvs {
			e := cluster.Entry{Key: strings.TrimPrefix(string(kv.Key), s.prefix), Value: kv.Value, Revision: kv.ModRevision}
			snapshot.Entries = append(snapshot.Entries, e)
		}
	}
	return snapshot, nil
}

// Swap implements cluster.Store. The client does not send a transaction with changes a
// second time.
func (s *Store) Swap(ctx context.Context, changes ...cluster.Change) (int64, error) {
	var conditions []clientv3.Cmp
	var ops []clientv3.Op
	for _, c := range changes {
		key := s.prefix + c.Key
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(key), "=", c.Was))
		switch c.Action {
		case cluster.Put:
			ops = append(ops, clientv3.OpPut(key, string(c.Value)))
		case cluster.Delete:
			ops = append(ops, clientv3.OpDelete(key))
		}
	}
	to, err := s.connection()
	if err != nil {
		return 0, err
	}
	r, err := to.client.Txn(ctx).If(conditions...).Then(ops...).Commit()
	switch {
	case err != nil:
		return 0, s.explain(to, err)
	case r.Header.ClusterId == 0:
		return 0, ErrNotEtcd
	case !r.Succeeded:
		return 0, cluster.ErrChanged
	}
	return r.Header.Revision, nil
}

// Watch implements cluster.Store. The client resumes a broken stream after the last
// revision that it has received; a member without a leader ends the stream.
func (s *Store) Watch(ctx context.Context, prefix string, after int64, apply func(cluster.Update)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	c, err := s.connection()
	if err != nil {
		return err
	}
	for r := range c.client.Watch(ctx, s.prefix+prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		if errors.Is(r.Err(), rpctypes.ErrCompacted) {
			return cluster.ErrCompacted
		}
		if err := r.Err(); err != nil {
			return err
		}
		for _, u := range s.updates(r.Events) {
			apply(u)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.New("etcd has ended the watch")
}

// updates groups events by revision. etcd never divides a revision between answers.
func (s *Store) updates(events []*clientv3.Event) (all []cluster.Update) {
	for _, e := range events {
		entry := cluster.Entry{Key: strings.TrimPrefix(string(e.Kv.Key), s.prefix), Revision: e.Kv.ModRevision}
		if e.Type != clientv3.EventTypeDelete {
			entry.Value = e.Kv.Value
		}
		if n := len(all); n == 0 || all[n-1].Revision != entry.Revision {
			all = append(all, cluster.Update{Revision: entry.Revision})
		}
		last := &all[len(all)-1]
		last.Entries = append(last.Entries, entry)
	}
	return all
}
