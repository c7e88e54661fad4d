//go:build !hook

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"berth/specs"
)

// ErrRecord is wrapped by the errors of [DecodeEvent] if the record was not written by a
// datapath of this layout.
var ErrRecord = errors.New("not an event of this layout")

// RawEvent is a violation as the datapath reports it, with slots instead of names.
type RawEvent struct {
	Boot        time.Duration // since boot, including suspended time
	Time        time.Time     // the same by the wall clock; set by Reader.Read
	Kind        specs.Kind
	Certainty   specs.Certainty
	Evidence    specs.Evidence
	Direction   string // at the parent: "egress" or "ingress"
	ParentIndex int
	VLAN        int
	Sender      uint32 // the sender's slot, or 0
	Owner       uint32 // the slot that owns the source MAC or address, or 0
	Receiver    uint32 // the slot of the frame's destination, or 0
	Counted     uint32 // the one of these for which the violation is counted
	Dropped     bool   // because the network enforces the kind
	Cookie      uint64 // of the sender's namespace, or 0
	Length      uint32 // of the frame in bytes, Ethernet header included
	LeftOut     uint64 // earlier events of the same slot and kind that were held back
	Bytes       []byte // at most the first 96 of the frame
}

// Reader yields the events of the datapath. Only one Reader may read at a time: each event
// is delivered once.
type Reader struct {
	ring *ringbuf.Reader
	of   *ebpf.Map // which the ring uses
}

// Events starts reading. The buffer still holds the earlier events that fitted into it.
func (d *Datapath) Events() (*Reader, error) {
	shared, err := d.maps.openMap(mapEvents)
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(shared.FD()), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	own, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	ring, err := ringbuf.NewReader(own)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read ring buffer: %w", err), own.Close())
	}
	return &Reader{ring, own}, nil
}

// Read waits for the next event. The error wraps os.ErrClosed after Close, and [ErrRecord]
// if a record is skipped.
func (r *Reader) Read() (RawEvent, error) {
	record, err := r.ring.Read()
	if err != nil {
		return RawEvent{}, fmt.Errorf("read event: %w", err)
	}
	e, err := DecodeEvent(record.RawSample)
	if err != nil {
		return RawEvent{}, err
	}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return RawEvent{}, fmt.Errorf("read clock: %w", err)
	}
	e.Time = time.Now().Add(e.Boot - time.Duration(boot.Nano()))
	return e, nil
}

// Close ends a pending Read.
func (r *Reader) Close() error { return errors.Join(r.ring.Close(), r.of.Close()) }

// DecodeEvent decodes one record of the ring buffer.
func DecodeEvent(record []byte) (RawEvent, error) {
	var raw event
	if len(record) < eventSize {
		return RawEvent{}, fmt.Errorf("decode event of %d bytes: %w", len(record), ErrRecord)
	}
	if _, err := binary.Decode(record[:eventSize], binary.NativeEndian, &raw); err != nil {
		return RawEvent{}, fmt.Errorf("decode event: %w", err)
	}
	kinds := specs.Kinds()
	if int(raw.Kind) >= len(kinds) || raw.Certainty > 1 || raw.Evidence >= evidences || raw.Direction > 1 ||
		raw.Captured > eventBytes {
		return RawEvent{}, fmt.Errorf("decode event of kind %d: %w", raw.Kind, ErrRecord)
	}
	return RawEvent{
		Boot:        time.Duration(raw.Time),
		Kind:        kinds[raw.Kind],
		Certainty:   [...]specs.Certainty{specs.Certain, specs.Suspected}[raw.Certainty],
		Evidence:    specs.Evidences()[raw.Evidence],
		Direction:   direction(raw.Direction).String(),
		ParentIndex: int(raw.IfIndex),
		VLAN:        int(raw.VLAN),
		Sender:      raw.Sender,
		Owner:       raw.Owner,
		Receiver:    raw.Receiver,
		Counted:     raw.Counted,
		Dropped:     raw.Dropped != 0,
		Cookie:      raw.Cookie,
		Length:      raw.Length,
		LeftOut:     raw.LeftOut,
		Bytes:       append([]byte(nil), raw.Bytes[:raw.Captured]...),
	}, nil
}
