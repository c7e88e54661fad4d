package state

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"berth/specs"
)

// DHCPClient is the DHCP client of one family of an interface: its configuration
// and its lease. Any process can continue it.
type DHCPClient struct {
	IPv6      bool   `json:",omitempty"`
	ClientID  []byte // option 61 of DHCPv4; the DUID of DHCPv6
	IAID      [4]byte
	Hostname  string        `json:",omitempty"`
	Broadcast bool          `json:",omitempty"` // replies must be broadcast
	Release   bool          `json:",omitempty"` // give the lease back at the end
	Probe     time.Duration `json:",omitempty"` // time for which a new address is probed for
	Default   bool          `json:",omitempty"` // the lease's gateway is the container's default route
	Metric    int           `json:",omitempty"` // of the default route
	MTU       int           `json:",omitempty"` // of the interface if no server sets one; 0 if not known
	Memory    string        `json:",omitempty"` // key of the lease's memory, see lease.StickyKey

	Lease     *specs.DHCPLease   `json:",omitempty"` // nil if it was lost, or if there is none yet
	Began     time.Duration      `json:",omitempty"` // of the lease, by CLOCK_BOOTTIME
	Last      netip.Addr         `json:",omitzero"`  // the address of the last lease
	Lost      string             `json:",omitempty"` // why there is no lease
	Unmanaged bool               `json:",omitempty"` // the router announces no addresses by DHCPv6
	Options   *specs.DHCPOptions `json:",omitempty"` // of a server that was asked for no address
	Old       netip.Prefix       `json:",omitzero"`  // still on the interface and to be deleted: it was replaced, or lost
}

// Family returns the client's family, "ipv4" or "ipv6".
func (c *DHCPClient) Family() string {
	if c.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// SinceBoot returns the time since the machine was started, with the time for which it
// was suspended (CLOCK_BOOTTIME).
func SinceBoot() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // cannot fail (clock_gettime(2))
	return time.Duration(t.Nano() + clockShift.Load())
}

var clockShift atomic.Int64

// ShiftClock moves the clock of SinceBoot in this process, forward or back. It is for tests.
func ShiftClock(by time.Duration) { clockShift.Add(int64(by)) }

// ExpiresAt returns the end of the lease by the clock on the wall, whatever that was when
// it was leased, or the zero time if there is no lease or it never ends.
func (c *DHCPClient) ExpiresAt(now time.Time, sinceBoot time.Duration) time.Time {
	ends, ok := c.Ends()
	if !ok {
		return time.Time{}
	}
	return now.Add(ends - sinceBoot).Round(time.Second)
}

// Changing reports whether an address of the interface may be missing, because the
// client is about to set or replace it, or because its lease has just ended.
func (c *DHCPClient) Changing(p netip.Prefix, sinceBoot time.Duration) bool {
	if c.Old.IsValid() && (p == c.Old || c.Lease != nil && p == c.Lease.Address) {
		return true
	}
	if c.Lease == nil || p != c.Lease.Address {
		return false
	}
	ends, ok := c.Ends()
	return ok && sinceBoot >= ends-roundedLifetime || sinceBoot < c.Began+c.settling()
}

// settled bounds the time from the beginning of a lease until its address is on the
// interface: it is probed for and recorded first.
const settled = 10 * time.Second

// settling returns settled, or a third of a shorter lease, which is renewed at its half.
func (c *DHCPClient) settling() time.Duration {
	if c.Lease.Lifetime == specs.Forever {
		return settled
	}
	return min(settled, c.Lease.Lifetime.Duration()/3)
}

// roundedLifetime bounds the time by which the kernel deletes an address before its
// lease ends: lifetimes of addresses are whole seconds, and are rounded down.
const roundedLifetime = 2 * time.Second

// Ends returns the time at which the lease ends by CLOCK_BOOTTIME, or ok = false if
// there is none or it never ends.
func (c *DHCPClient) Ends() (at time.Duration, ok bool) {
	if c.Lease == nil || c.Lease.Lifetime == specs.Forever {
		return 0, false
	}
	return c.Began + c.Lease.Lifetime.Duration(), true
}

const bucketWithDHCP = "dhcp" // live attachments with a DHCP client

// markDHCP keeps the index of attachments with a DHCP client. Without one it makes no
// bucket.
func (tx *Tx) markDHCP(key string, on bool) error {
	if !on && tx.bolt.Bucket([]byte(bucketWithDHCP)) == nil {
		return nil
	}
	return setIndexed(tx.Bucket(bucketWithDHCP), key, on)
}

// WithDHCP returns the live attachments that have a DHCP client.
func (tx *Tx) WithDHCP() (all []*Attachment, err error) {
	for key := range seekFrom(tx.Bucket(bucketWithDHCP), nil) {
		a, err := tx.Attachment(string(key))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

const bucketDHCP = "dhcp messages" // type → number as 8 bytes

// AddDHCPMessages adds to the numbers of DHCP messages by type.
func (tx *Tx) AddDHCPMessages(counts map[string]uint64) error {
	b := tx.Bucket(bucketDHCP)
	for kind, n := range counts {
		if old := b.Get([]byte(kind)); len(old) == 8 {
			n += binary.BigEndian.Uint64(old)
		}
		if err := b.Put([]byte(kind), binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
	}
	return nil
}

// DHCPMessages returns the numbers of DHCP messages by type since the machine was
// started.
func (tx *Tx) DHCPMessages() map[string]uint64 {
	b := tx.Bucket(bucketDHCP)
	if b == nil {
		return nil
	}
	all := make(map[string]uint64)
	_ = b.ForEach(func(kind, n []byte) error { // the function never fails
		if len(n) == 8 {
			all[string(kind)] = binary.BigEndian.Uint64(n)
		}
		return nil
	})
	return all
}

// KeeperKey is the key that the running keeper of leases holds ([Store.Hold]).
const KeeperKey = "keeper"

// nameLeases is a file in STATE/state that exists while there are leases to keep:
// systemd starts the keeper for it (berth-dhcp.path).
const nameLeases = "leases"

// MarkLeases makes that file. It is called inside an Update.
func (s *Store) MarkLeases() error {
	f, err := s.OpenFile(nameLeases, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// UnmarkLeases removes that file. It is called inside an Update that finds no lease.
func (s *Store) UnmarkLeases() error {
	if err := os.Remove(filepath.Join(s.Dir(), nameLeases)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
