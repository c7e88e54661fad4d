package state

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// VLAN is a VLAN of a trunk, and the name of its sub-interface.
type VLAN struct {
	TrunkIndex, ID int
	Name           string
}

// bucketVLANs contains "TRUNK.ID" for each VLAN in use (value "made" if berth
// made its sub-interface) and "TRUNK.ID/ATTACHMENT" for each of its users.
const bucketVLANs = "vlans"

func vlanKey(trunkIndex, id int) string { return fmt.Sprintf("%d.%d", trunkIndex, id) }

// AddVLANUser records that an attachment uses a VLAN of a trunk. made is true if
// berth makes the sub-interface; it then stays recorded until the last user is
// removed. Call it before the sub-interface is made, under [Store.LockVLAN], so
// that a crash in between leaves nothing that is never removed.
func (tx *Tx) AddVLANUser(trunkIndex, id int, key string, made bool) error {
	b, vlan := tx.Bucket(bucketVLANs), vlanKey(trunkIndex, id)
	value := []byte{}
	if made || string(b.Get([]byte(vlan))) == "made" {
		value = []byte("made")
	}
	if err := b.Put([]byte(vlan), value); err != nil {
		return fmt.Errorf("VLAN %s: %w", vlan, err)
	}
	return b.Put([]byte(vlan+"/"+key), []byte{})
}

// DisownVLAN records that berth did not make the sub-interface of a VLAN after all:
// another program made it first. The users stay.
func (tx *Tx) DisownVLAN(trunkIndex, id int) error {
	b, vlan := tx.Bucket(bucketVLANs), vlanKey(trunkIndex, id)
	if !hasKey(b, vlan) {
		return nil
	}
	if err := b.Put([]byte(vlan), []byte{}); err != nil {
		return fmt.Errorf("VLAN %s: %w", vlan, err)
	}
	return nil
}

// VLANUsers returns the attachments that use a VLAN, and whether berth made
// its sub-interface.
func (tx *Tx) VLANUsers(trunkIndex, id int) (keys []string, made bool) {
	b, vlan := tx.Bucket(bucketVLANs), vlanKey(trunkIndex, id)
	prefix := []byte(vlan + "/")
	for k := range seekFrom(b, prefix) {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		keys = append(keys, string(k[len(prefix):]))
	}
	return keys, string(getOrNil(b, vlan)) == "made"
}

// RemoveVLANUser removes a user. last is true if no other user is left, made if
// berth made the sub-interface; if both are true, it is to be removed. If key is
// not a user, last is false.
func (tx *Tx) RemoveVLANUser(trunkIndex, id int, key string) (last, made bool, err error) {
	b, vlan := tx.Bucket(bucketVLANs), vlanKey(trunkIndex, id)
	if !hasKey(b, vlan+"/"+key) {
		return false, false, nil
	}
	if err := b.Delete([]byte(vlan + "/" + key)); err != nil {
		return false, false, fmt.Errorf("VLAN %s: %w", vlan, err)
	}
	left, made := tx.VLANUsers(trunkIndex, id)
	if len(left) > 0 {
		return false, made, nil
	}
	return true, made, b.Delete([]byte(vlan))
}

// LockVLAN takes the lock of a VLAN of a trunk. Its sub-interface is made and
// removed under it, because netlink is not part of the transaction. Take it
// before a transaction, never inside one.
func (s *Store) LockVLAN(ctx context.Context, trunkIndex, id int) (unlock func(), err error) {
	d, err := s.openStateDirectory(true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	f, err := d.lockFile(ctx, "vlan-"+vlanKey(trunkIndex, id)+".lock", unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}
