package bpf

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"berth/specs"
)

// Version is the version of the pinned layout, and so the name of its directory under BPFFS.
// c/layout.h is the same in C.
const Version = 1

// The maps, by the names of their pins.
const (
	mapPlaces     = "places"
	mapEndpoints  = "endpoints"
	mapFilter     = "filter"
	mapNamespaces = "namespaces"
	mapAddresses  = "addresses"
	mapSources    = "sources"
	mapInsides    = "insides"
	mapVLANs      = "vlans"
	mapParents    = "parents"
	mapCounters   = "counters"
	mapViolations = "violations"
	mapEvents     = "events"
	mapLost       = "lost"
	mapUnknown    = "unknown"
	mapEpoch      = "epoch"
	mapStates     = "states"
	mapPrints     = "prints"
	mapDrops      = "drops"
	mapDropped    = "dropped_frames"

	// Only userspace uses mapBase and mapFound. The first exists only after a migration,
	// the second from its first violation on.
	mapBase  = "base"
	mapFound = "found"
)

// addressHost takes the place of a slot for an address of the host.
const addressHost = 0xffffffff

// flagParent marks the entry of a parent's own MAC.
const flagParent = 0x01

// flagIPvlan marks the entry of a parent's MAC that ipvlan endpoints share.
const flagIPvlan = 0x02

// flagOwnIPv6 marks an endpoint that configures its own IPv6 addresses, beside link-local ones.
const flagOwnIPv6 = 0x04

// flagRouter marks an endpoint that forwards.
const flagRouter = 0x08

// flagObserved marks an endpoint that berth did not create.
const flagObserved = 0x10

// flagLinkLocal marks an endpoint whose link-local addresses are judged.
const flagLinkLocal = 0x80

// parentMadeQdisc marks a parent whose clsact qdisc berth created.
const parentMadeQdisc = 0x01

// parentIPvlan marks a parent on which ipvlan endpoints were registered.
const parentIPvlan = 0x02

// parentEnforces marks a parent on which an ipvlan endpoint of a network that enforces was
// registered, and parentUnmarked one with an ipvlan endpoint whose sibling program does not mark
// its frames. c/layout.h has both in C.
const (
	parentEnforces = 0x04
	parentUnmarked = 0x08
)

// numKinds is the number of kinds of violation for which a slot has room: those of
// specs.Kinds.
const numKinds = 18

// evidences is the number of evidences in the datapath.
const evidences = 9

// eventBytes is the number of a frame's bytes in an event.
const eventBytes = 96

type endpointKey struct {
	MAC     specs.MAC
	VLAN    uint16
	IfIndex uint32
}

// hashFactor is HASH_FACTOR in c/layout.h.
const hashFactor = 0x9e3779b97f4a7c15

// filterBits is FILTER_BITS in c/maps.h.
const filterBits = 16

// word returns MAC and VLAN as a number, as the programs read it.
func (k endpointKey) word() uint64 {
	var word [8]byte
	copy(word[:], k.MAC[:])
	binary.NativeEndian.PutUint16(word[6:], k.VLAN)
	return binary.NativeEndian.Uint64(word[:])
}

// home returns the index of the key's first place among count, a power of two.
func (k endpointKey) home(count uint32) uint32 {
	hash := (k.word() + uint64(k.IfIndex)<<48) * hashFactor
	return uint32(hash >> (64 - bits.Len32(count-1)))
}

// filterIndex returns the index of the key's element in the filter.
func (k endpointKey) filterIndex() uint32 {
	return uint32(k.word() * hashFactor >> (64 - filterBits))
}

type filterValue struct {
	Endpoint uint8
	Seen     [2]uint8
}

type unknownValue struct {
	First    uint64
	Last     uint64
	Ways     uint8
	Reserved [7]uint8
}

// The indices of the map "lost".
const (
	lostEvents uint32 = iota
	lostUnknown
	lostKinds
)

// partyValue identifies an endpoint, and holds the rules of its network.
type partyValue struct {
	Slot    uint32
	Enforce uint32 // by number of the kind
	Exempt  uint32
	Mode    uint8
	Flags   uint8
	NS      uint16
}

type endpointValue struct {
	Is       partyValue
	Cookie   uint64
	Addr4    [4]byte
	Reserved uint32
	Addr6    [16]byte
}

// placeValue is a place of the table of MACs: one line of the processor's cache.
type placeValue struct {
	Of      endpointValue
	Word    uint64 // MAC and VLAN; 0 if the place is empty, wordDeleted if its endpoint was deleted
	IfIndex uint32
	Freed   uint32 // ms of the monotonic clock at which its endpoint was deleted, or 0
}

type stateValue struct{ Out, Since, Waiting, Probed uint32 }

type printValue struct{ Hash, When uint32 }

type dropsValue struct {
	Keys     [3]uint64
	Last     uint32
	Reserved uint32
}

type vlanKey struct {
	IfIndex uint32
	VLAN    uint32
}

type namespaceKey struct {
	Cookie  uint64
	IfIndex uint32
	VLAN    uint32
}

type addressKey struct {
	Addr    [16]byte
	IfIndex uint32
	VLAN    uint32
}

// insideKey identifies an interface with one of berth's programs on it.
type insideKey struct {
	Cookie  uint64 // of the namespace that it is in
	IfIndex uint32
	Program uint32 // programSibling or programIngress; in C the member is called reserved
}

const (
	programSibling = 0
	programIngress = 1 // the receiver program or the guard program
)

type insideValue struct {
	Slot     uint32
	Parent   uint32
	Mode     uint8
	Reserved [3]uint8 // the first is insideMarks if the sibling program marks frames
}

const insideMarks = 1

// marks reports whether the sibling program marks frames: those of earlier versions do not.
func (v insideValue) marks() bool { return v.Reserved[0] == insideMarks }

type sourceKey struct {
	Slot     uint32
	MAC      specs.MAC
	Reserved uint16
}

type parentValue struct {
	Slot     uint32
	MAC      specs.MAC
	Flags    uint8
	Reserved uint8
}

type violation struct {
	Packets uint64
	Dropped uint64
	Last    uint32
	LeftOut uint32
}

type violations struct{ Of [numKinds]violation }

// foundValue holds the packets of violations in a slot, by kind, that userspace has added
// to the datapath's counts. There cannot be more than 32 kinds, as partyValue has a bit for
// each. The map has no BTF and is never converted, so the size of its values must stay.
type foundValue struct{ Packets, Dropped [32]uint64 }

// baseValue holds the counts of earlier maps in a slot.
type baseValue struct{ Counters counters }

// event is struct event in the byte order of the machine.
type event struct {
	Time      uint64
	Cookie    uint64
	LeftOut   uint64
	IfIndex   uint32
	VLAN      uint32
	Sender    uint32
	Owner     uint32
	Receiver  uint32
	Counted   uint32
	Length    uint32
	Captured  uint16
	Kind      uint8
	Certainty uint8
	Evidence  uint8
	Direction uint8
	Dropped   uint8
	Reserved  [5]uint8
	Bytes     [eventBytes]byte
}

var eventSize = binary.Size(event{})

// modeNumber returns the number of a mode in the datapath (enum mode).
func modeNumber(m specs.Mode) (uint8, error) {
	switch m {
	case specs.ModeBridge:
		return 1, nil
	case specs.ModePrivate:
		return 2, nil
	case specs.ModeVEPA:
		return 3, nil
	case specs.ModePassthru:
		return 4, nil
	case specs.ModeSource:
		return 5, nil
	case specs.ModeL2:
		return 6, nil
	case specs.ModeL3:
		return 7, nil
	case specs.ModeL3S:
		return 8, nil
	}
	return 0, fmt.Errorf("mode %q is not counted", m)
}

// addressBytes returns an address in the maps' form: IPv4 mapped into IPv6.
func addressBytes(a netip.Addr) [16]byte { return a.As16() }
