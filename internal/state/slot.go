package state

import (
	"encoding/binary"
	"fmt"
)

const bucketSlots = "slots"

// ClaimSlot claims the lowest free counter slot of 1 to max-1. It returns
// ErrNoSlot if there is none.
func (tx *Tx) ClaimSlot(max uint32) (uint32, error) {
	slots := NewRuns(tx.Bucket(bucketSlots))
	free := slots.Free(slotKey(1))
	if free == nil || binary.BigEndian.Uint32(free) >= max {
		return 0, ErrNoSlot
	}
	slot := binary.BigEndian.Uint32(free)
	if err := slots.Add(free); err != nil {
		return 0, fmt.Errorf("slot %d: %w", slot, err)
	}
	return slot, nil
}

// FreeSlot frees a slot. Its counters must be zero already.
func (tx *Tx) FreeSlot(slot uint32) error {
	if err := NewRuns(tx.Bucket(bucketSlots)).Remove(slotKey(slot)); err != nil {
		return fmt.Errorf("slot %d: %w", slot, err)
	}
	return nil
}

func slotKey(slot uint32) []byte { return binary.BigEndian.AppendUint32(nil, slot) }
