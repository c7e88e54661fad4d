package cluster

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"berth/specs"
)

// Keys of the store, relative to its prefix.
const (
	nodePrefix  = "node/"  // node/ID: the registration of a node
	alivePrefix = "alive/" // alive/ID: its presence
	rowPrefix   = "row/"   // row/ID/ATTACHMENT: its attachments, for people
)

// Domain is the administrator's name of a layer-2 domain that nodes share.
type Domain string

// ParseDomain returns a domain of up to 63 lower-case letters, digits and dashes.
func ParseDomain(s string) (Domain, error) {
	return Domain(s), specs.CheckClusterDomain(s)
}

func (d Domain) prefix() string                 { return "domain/" + string(d) + "/" }
func (d Domain) poolKey() string                { return d.prefix() + "pool" }
func (d Domain) blockKey(p netip.Prefix) string { return d.prefix() + "block/" + p.Addr().String() }
func (d Domain) staticKey(a netip.Addr) string  { return d.prefix() + "static/" + a.String() }
func (d Domain) macKey(p MACPrefix) string      { return d.prefix() + "mac/" + p.String() }

// MACPrefix is the two octets after 02 with which the MACs of one node begin.
type MACPrefix [2]byte

// String returns the prefix as four hexadecimal digits.
func (p MACPrefix) String() string { return hex.EncodeToString(p[:]) }

func parseMACPrefix(s string) (p MACPrefix, err error) {
	octets, err := hex.DecodeString(s)
	if err != nil || len(octets) != len(p) {
		return p, fmt.Errorf("%q: want two octets as four hexadecimal digits", s)
	}
	return MACPrefix(octets), nil
}

func (d Domain) isStatic(key string) bool { return strings.HasPrefix(key, d.prefix()+"static/") }
func (d Domain) isMAC(key string) bool    { return strings.HasPrefix(key, d.prefix()+"mac/") }

// Part returns the addresses that a key is for, or else its prefix of MACs.
func (b *Blocks) Part(d Domain, key string) (netip.Prefix, MACPrefix, error) {
	if block, ok := b.ofKey(d, key); ok {
		return block, MACPrefix{}, nil
	}
	if name, ok := strings.CutPrefix(key, d.prefix()+"static/"); ok {
		a, err := netip.ParseAddr(name)
		if err != nil {
			return netip.Prefix{}, MACPrefix{}, err
		}
		return netip.PrefixFrom(a, a.BitLen()), MACPrefix{}, nil
	}
	name, ok := strings.CutPrefix(key, d.prefix()+"mac/")
	if !ok {
		return netip.Prefix{}, MACPrefix{}, fmt.Errorf("key %q is not of a pool of %s", key, b.pool.Range())
	}
	p, err := parseMACPrefix(name)
	return netip.Prefix{}, p, err
}

// ofKey returns the block of a key, or false if the key is of another kind.
func (b *Blocks) ofKey(d Domain, key string) (netip.Prefix, bool) {
	name, ok := strings.CutPrefix(key, d.prefix()+"block/")
	if !ok {
		return netip.Prefix{}, false
	}
	block, err := b.parseBlock(name)
	return block, err == nil
}
