package cluster

import (
	"errors"
	"fmt"
	"io/fs"
)

// Self is this node: its identity and its file, which all of its keepers share.
type Self struct {
	store   Store
	disk    Disk
	name    string
	boot    string
	file    File
	dirty   bool  // the file on the disk may differ from the copy in memory
	newest  int64 // the highest revision that this node has seen
	keepers []*Keeper
	rows    map[string]Entry // as this process has published them; nil if not known
	counts  Counts
}

// Counts are the changes of this node's keys since its process was started.
type Counts struct {
	Claims    uint64 // blocks, addresses and prefixes that were taken
	Returns   uint64 // that were given back or marked idle
	Conflicts uint64 // changes that failed because another node was sooner
}

// Counts returns the counts of all keepers.
func (n *Self) Counts() Counts { return n.counts }

// SelfConfig is everything that a Self depends on.
type SelfConfig struct {
	Store Store
	Disk  Disk
	Name  string // the node's name, for people
	Boot  string // the kernel's boot id
}

// OpenSelf loads the node's file, or makes a new node's.
func OpenSelf(c SelfConfig) (*Self, error) {
	n := &Self{store: c.Store, disk: c.Disk, name: c.Name, boot: c.Boot}
	n.dirty = true // a process before this one may have been killed before its file was on the disk
	f, err := c.Disk.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return n, n.save(NewFile())
	}
	n.file = f.clone()
	return n, err
}

// ID returns the node's identity.
func (n *Self) ID() NodeID { return n.file.Node }

// Presence returns the key and the value of the node's presence.
func (n *Self) Presence() (key string, value []byte) {
	return alivePrefix + string(n.file.Node), encode(Registration{Name: n.name, Boot: n.boot})
}

// Renounce closes every key of all keepers. A node that was forgotten becomes a new one; a
// clone does not, because its containers may have addresses of the other machine's blocks.
func (n *Self) Renounce(why error) error {
	for _, k := range n.keepers {
		if err := k.leases.Reset(nil); err != nil {
			return fmt.Errorf("close this node's blocks: %w", err)
		}
		k.opened = false
	}
	if errors.Is(why, ErrForgotten) {
		return n.save(NewFile())
	}
	return nil
}

// save writes the file, then replaces the copy in memory. After an error, either may be
// on the disk.
func (n *Self) save(f File) error {
	n.dirty = true
	f.Seen = max(n.newest, n.file.Seen)
	if err := n.disk.Save(f); err != nil {
		return err
	}
	n.file, n.dirty = f, false
	return nil
}

// Registered reports whether the node has registered, in this boot or before.
func (n *Self) Registered() bool { return n.file.Registered != 0 }
