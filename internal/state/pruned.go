package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"berth/specs"
)

const (
	bucketPruned  = "pruned"           // kind, NUL, parent, NUL, network: violations of pruned records
	bucketEndedOf = "ended-containers" // container id, NUL, endedKey
)

// ViolationSeries is the key by which violations are added up.
type ViolationSeries struct {
	Kind            specs.Kind
	Parent, Network string
}

func (s ViolationSeries) key() []byte {
	return []byte(string(s.Kind) + "\x00" + s.Parent + "\x00" + s.Network)
}

// PrunedViolations returns the violations of the pruned records. Together with
// those of the existing records they make sums that never decrease.
func (tx *Tx) PrunedViolations() (map[ViolationSeries]specs.Broken, error) {
	sums := make(map[ViolationSeries]specs.Broken)
	for k, v := range seekFrom(tx.Bucket(bucketPruned), nil) {
		part := bytes.SplitN(k, []byte{0}, 3)
		if len(part) != 3 || len(v) != 16 {
			return nil, fmt.Errorf("pruned violations %q: %w", k, ErrDamaged)
		}
		sums[ViolationSeries{specs.Kind(part[0]), string(part[1]), string(part[2])}] = decodeBroken(v)
	}
	return sums, nil
}

// forgetEnded removes an ended attachment and adds its counts to the sums. If its heir
// is still attaching, it returns false and removes nothing.
func (tx *Tx) forgetEnded(a *Attachment, runs *runsRead) (bool, error) {
	heir, err := runs.heirOf(a)
	if err != nil || heir != nil && heir.Phase == specs.PhaseAttaching {
		return false, err
	}
	if heir != nil && (a.Final != nil || a.Earlier != nil) {
		sum := countersOrZero(heir.Earlier).Plus(countersOrZero(a.Earlier)).Plus(countersOrZero(a.Final))
		heir.Earlier = &sum
		if err := tx.Put(heir); err != nil {
			return false, err
		}
	}
	if err := tx.addPruned(a); err != nil {
		return false, err
	}
	runs.removeRun(a)
	return true, tx.removeEnded(a)
}

func countersOrZero(c *specs.Counters) specs.Counters {
	if c == nil {
		return specs.Counters{}
	}
	return *c
}

func (tx *Tx) addPruned(a *Attachment) error {
	b := tx.Bucket(bucketPruned)
	for kind, n := range a.FinalViolations {
		key := ViolationSeries{kind, a.Parent, a.Network}.key()
		sum := specs.Broken{Packets: n, Dropped: a.FinalDropped[kind]}
		if old := b.Get(key); len(old) == 16 {
			sum = sum.Plus(decodeBroken(old))
		}
		value := binary.BigEndian.AppendUint64(nil, sum.Packets)
		if err := b.Put(key, binary.BigEndian.AppendUint64(value, sum.Dropped)); err != nil {
			return fmt.Errorf("pruned violations of %q: %w", a.Key(), err)
		}
	}
	return nil
}

func decodeBroken(v []byte) specs.Broken {
	return specs.Broken{Packets: binary.BigEndian.Uint64(v), Dropped: binary.BigEndian.Uint64(v[8:])}
}

// runsRead holds the attachments of containers, each read once: a container may have had hundreds of
// interfaces.
type runsRead struct {
	tx *Tx
	of map[string][]*Attachment // live and ended ones, by the first container
}

// heirOf returns the attachment that takes over the counts of an ended one: the
// newest later one of the same container, interface, network and parent, or nil
// if there is none.
func (r *runsRead) heirOf(a *Attachment) (newest *Attachment, err error) {
	if len(a.Containers) == 0 {
		return nil, nil
	}
	id := a.Containers[0]
	all, known := r.of[id]
	if !known {
		if all, err = r.readRuns(id); err != nil {
			return nil, err
		}
		r.of[id] = all
	}
	for _, b := range all {
		if a.precedes(b) && (newest == nil || newest.Created.Before(b.Created)) {
			newest = b
		}
	}
	return newest, nil
}

func (r *runsRead) readRuns(id string) ([]*Attachment, error) {
	live, err := r.tx.OfContainer(id)
	if err != nil {
		return nil, err
	}
	ended, err := r.tx.endedOf(id)
	return append(live, ended...), err
}

// removeRun takes out an ended attachment.
func (r *runsRead) removeRun(a *Attachment) {
	if len(a.Containers) > 0 {
		id := a.Containers[0]
		r.of[id] = slices.DeleteFunc(r.of[id], func(b *Attachment) bool {
			return !b.Ended.IsZero() && b.Created.Equal(a.Created) && b.Ended.Equal(a.Ended) && b.Key() == a.Key()
		})
	}
}

// precedes reports whether b is another run of the same container, later than a.
func (a *Attachment) precedes(b *Attachment) bool {
	return a.Created.Before(b.Created) && len(b.Containers) > 0 && b.Containers[0] == a.Containers[0] &&
		b.Interface == a.Interface && b.Network == a.Network && b.Parent == a.Parent
}

// endedOf returns the ended attachments of a container, the oldest first.
func (tx *Tx) endedOf(id string) (all []*Attachment, err error) {
	prefix := []byte(id + "\x00")
	for k := range seekFrom(tx.Bucket(bucketEndedOf), prefix) {
		key, ok := bytes.CutPrefix(k, prefix)
		if !ok {
			break
		}
		data := getOrNil(tx.Bucket(bucketEnded), string(key))
		if data == nil {
			continue
		}
		a, err := decodeAttachment(string(key), data)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
