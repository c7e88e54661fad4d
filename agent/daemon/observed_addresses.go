package daemon

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
)

// observedAddresses are the addresses of the registered observed interfaces, by the keys of their
// records. It is safe for concurrent use.
type observedAddresses struct {
	mu    sync.Mutex
	byKey map[string][]netip.Addr
	keys  map[netip.Addr]map[string]bool
}

func newObservedAddresses() *observedAddresses {
	return &observedAddresses{byKey: make(map[string][]netip.Addr), keys: make(map[netip.Addr]map[string]bool)}
}

// noteAddresses replaces the addresses of an interface. An interface without any is forgotten.
func (o *observedAddresses) noteAddresses(key string, addresses []netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.byKey[key] {
		if delete(o.keys[a], key); len(o.keys[a]) == 0 {
			delete(o.keys, a)
		}
	}
	if delete(o.byKey, key); len(addresses) == 0 {
		return
	}
	o.byKey[key] = addresses
	for _, a := range addresses {
		if o.keys[a] == nil {
			o.keys[a] = make(map[string]bool)
		}
		o.keys[a][key] = true
	}
}

// keysWith returns the keys of the interfaces that have one of some addresses.
func (o *observedAddresses) keysWith(addresses []netip.Addr) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := make(map[string]bool)
	for _, a := range addresses {
		maps.Copy(found, o.keys[a])
	}
	return slices.Sorted(maps.Keys(found))
}

// allKeys returns the keys of all interfaces that have addresses.
func (o *observedAddresses) allKeys() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.byKey))
}

// registerEndpoint registers the endpoint of a record that has a slot.
func (a *Agent) registerEndpoint(m *bpf.Maps, at *state.Attachment) error {
	return m.Register(a.notedEndpoint(at))
}

// moveEndpoint registers an attachment whose record has changed.
func (a *Agent) moveEndpoint(m *bpf.Maps, was, is *state.Attachment) error {
	return m.Move(release.Endpoint(was), a.notedEndpoint(is))
}

// notedEndpoint returns the endpoint of an attachment, and notes the addresses of an observed one.
func (a *Agent) notedEndpoint(at *state.Attachment) bpf.Endpoint {
	e := release.Endpoint(at)
	if at.Observed {
		a.observed.noteAddresses(at.Key(), e.Addresses)
	}
	return e
}

// assignAddresses registers observed interfaces again, by the keys of their records. An observed
// interface does not take an address that another endpoint has. If that endpoint has ended, the
// address belongs to no endpoint, and the frames of the observed interface look forged until it is
// registered again.
func (a *Agent) assignAddresses(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return a.maps.useMaps(func(m *bpf.Maps) error {
		if m == nil {
			return nil
		}
		var errs []error
		for some := range slices.Chunk(keys, chunk) {
			errs = append(errs, a.store.View(ctx, func(tx *state.Tx) error { return a.registerAgain(tx, m, some) }))
		}
		return errors.Join(errs...)
	})
}

func (a *Agent) registerAgain(tx *state.Tx, m *bpf.Maps, keys []string) error {
	var errs []error
	for _, key := range keys {
		at, err := tx.Attachment(key)
		if errors.Is(err, state.ErrNotFound) {
			continue // it has ended in between
		}
		if err == nil && at.Slot != 0 {
			err = a.registerEndpoint(m, at)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// drainingAddresses returns the addresses of the attachments that are to be drained.
func (a *Agent) drainingAddresses(ctx context.Context) (all []netip.Addr, err error) {
	err = a.store.View(ctx, func(tx *state.Tx) error {
		draining, err := tx.Draining()
		for _, at := range draining {
			all = append(all, release.Endpoint(at).Addresses...)
		}
		return err
	})
	return all, err
}
