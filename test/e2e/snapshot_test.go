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

// A snapshot is what a container leaves a mark on.
type snapshot struct {
	links    string            // of the host, with all details but counters
	leases   []string          // addresses and MACs that are held
	database map[string]string // every key of every bucket
}

func (s *site) snapshot(t *testing.T) snapshot {
	t.Helper()
	// What ip says of the name of a peer's namespace it looks up among those of
	// all tests, and it complains of one that just went.
	links, err := s.Run("sh", "-c", "ip -details -oneline link 2>/dev/null")
	must(t, err)
	links = changing.ReplaceAllString(links, "")
	return snapshot{links: links, leases: s.leases(t), database: s.database(t)}
}

// changing are the parts of a link that change by themselves: the name of a
// peer's namespace, and of an engine's
// bridge the timers and the sizes that it takes over from its ports.
var changing = regexp.MustCompile(`link-netns(id)? \S+ |\b\w+_timer +\S+ |\b[gt][rs]o_\w+ \S+ `)

func (s *site) leases(t *testing.T) (all []string) {
	t.Helper()
	err := state.Open(s.State).View(context.Background(), func(tx *state.Tx) error {
		for lease, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprintf("%+v", lease))
		}
		return nil
	})
	must(t, err)
	return all
}

// database reads all that is in the database, whatever it means.
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
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return dump(all, string(name), b) })
	}))
	return all
}

// dump adds all that a bucket has; nested buckets are there by what they hold.
func dump(all map[string]string, path string, b *bbolt.Bucket) error {
	return b.ForEach(func(key, value []byte) error {
		at := fmt.Sprintf("%s/%q", path, key)
		if value == nil {
			return dump(all, at, b.Bucket(key))
		}
		all[at] = string(value)
		return nil
	})
}

// settled brings to an end what berth still has to do about containers that have
// ended, so that nothing in the database changes by itself.
func (s *site) settled(t *testing.T) {
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

// difference says how a snapshot differs from an earlier one; "" if not at all.
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
