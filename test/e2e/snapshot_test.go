package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/test/lab"
)

// A snapshot is the state of a site that a container may change.
type snapshot struct {
	links    string            // of the host, with all details except counters
	leases   []string          // leased addresses and MACs
	database map[string]string // every key of every bucket
}

func (s *site) snapshot(t *testing.T) snapshot {
	t.Helper()
	// ip resolves the name of a peer's namespace among those of all tests, and warns if
	// one of them is removed meanwhile.
	links, err := s.Run("sh", "-c", "ip -details -oneline link 2>/dev/null")
	must(t, err)
	links = changing.ReplaceAllString(links, "")
	return snapshot{links: links, leases: s.leases(t), database: s.database(t)}
}

// changing matches the parts of a link that change by themselves: the name of a
// peer's namespace, the state, which the kernel changes up to a second after the carrier
// (net/core/link_watch.c), and the timers and the sizes that an engine's bridge adopts from
// its ports.
var changing = regexp.MustCompile(`link-netns(id)? \S+ |NO-CARRIER,|\bstate \S+ |\b\w+_timer +\S+ |\b[gt][rs]o_\w+ \S+ `)

func (s *site) leases(t *testing.T) (all []string) {
	t.Helper()
	for _, l := range s.held(t) {
		all = append(all, fmt.Sprintf("%+v", l))
	}
	return all
}

// held are all leases of a site.
func (s *site) held(t *testing.T) (all []lease.Lease) {
	t.Helper()
	err := state.Open(s.State).View(context.Background(), func(tx *state.Tx) error {
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			all = append(all, l)
		}
		return nil
	})
	must(t, err)
	return all
}

// database returns all keys and values of the database, without interpreting them.
func (s *site) database(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	path := filepath.Join(s.State, "state/berth.db")
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return all
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 10 * time.Second})
	must(t, err)
	defer db.Close()
	must(t, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return dumpBucket(all, string(name), b) })
	}))
	return all
}

// dumpBucket adds all keys and values of a bucket, and of its nested buckets.
func dumpBucket(all map[string]string, path string, b *bbolt.Bucket) error {
	return b.ForEach(func(key, value []byte) error {
		at := fmt.Sprintf("%s/%q", path, key)
		if value == nil {
			return dumpBucket(all, at, b.Bucket(key))
		}
		all[at] = string(value)
		return nil
	})
}

// drainEnded completes the drains and releases of ended containers, so that the
// database does not change by itself afterwards.
func (s *site) drainEnded(t *testing.T) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		_, err := s.Berth("gc")
		for key := range s.database(t) {
			if strings.HasPrefix(key, "draining/") {
				err = errors.Join(err, fmt.Errorf("%s is left", key))
			}
		}
		return err
	}))
}

// waitRemoved waits until the kernel has removed the interfaces of ended containers, some
// milliseconds after berth has: the parent, a veth, is promiscuous while one has a MAC on it.
func (s *site) waitRemoved(t *testing.T) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		text, err := s.Run("ip", "-details", "-oneline", "link", "show", "dev", "eth1")
		if err == nil && !strings.Contains(text, " promiscuity 0 ") {
			err = fmt.Errorf("an interface is left on the parent: %s", text)
		}
		return err
	}))
}

// difference returns the changes since an earlier snapshot, or "" if there are none.
func (after snapshot) difference(before snapshot) string {
	if after.links != before.links {
		return fmt.Sprintf("links were\n%s\nand are\n%s", before.links, after.links)
	}
	if !slices.Equal(after.leases, before.leases) {
		return fmt.Sprintf("leases were %s and are %s", before.leases, after.leases)
	}
	for _, key := range slices.Sorted(maps.Keys(before.database)) {
		if got, ok := after.database[key]; !ok || got != before.database[key] {
			return fmt.Sprintf("the record %s was %q and is %q", key, before.database[key], got)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(after.database)) {
		if _, ok := before.database[key]; !ok {
			return fmt.Sprintf("there is a new record %s: %q", key, after.database[key])
		}
	}
	return ""
}
