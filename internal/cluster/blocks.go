package cluster

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"net/netip"

	"berth/ipam"
	"berth/specs"
)

// Blocks divides the range of a pool into blocks of equal size.
type Blocks struct {
	pool *ipam.Pool
	bits int    // length of a block's prefix
	last uint64 // number of blocks less one
}

// NewBlocks returns the blocks of a pool. size is a power of two; a range that is smaller
// than a block is one block.
func NewBlocks(pool *ipam.Pool, size int) (*Blocks, error) {
	if size < 1 || size > specs.MaxBlock || bits.OnesCount(uint(size)) != 1 {
		return nil, fmt.Errorf("block %d: want a power of two from 1 to %d", size, specs.MaxBlock)
	}
	given := pool.Range()
	host := min(bits.TrailingZeros(uint(size)), given.Addr().BitLen()-given.Bits())
	b := &Blocks{pool: pool, bits: given.Addr().BitLen() - host}
	if n := b.bits - given.Bits(); n < 64 {
		b.last = 1<<n - 1
	} else {
		b.last = 1<<63 - 1 // of a range that large the rest is never needed
	}
	return b, nil
}

// Of returns the block that contains an address of the range.
func (b *Blocks) Of(a netip.Addr) (netip.Prefix, bool) {
	if !b.pool.Range().Contains(a) {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, b.bits).Masked(), true
}

// parseBlock returns the block of a key's last element, which must be its first address.
func (b *Blocks) parseBlock(s string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	p, ok := b.Of(a)
	if !ok || p.Addr() != a || a.String() != s {
		return netip.Prefix{}, fmt.Errorf("%q is not the first address of a block of %s", s, b.pool.Range())
	}
	return p, nil
}

// Usable returns the number of addresses of a block that can be leased.
func (b *Blocks) Usable(block netip.Prefix) int { return b.free(block, nil) }

// Order yields each block once, in an order of the node's own, so that nodes seldom claim
// the same block at the same time.
func (b *Blocks) Order(node NodeID) iter.Seq[netip.Prefix] {
	first, stride := seeds(node)
	return func(yield func(netip.Prefix) bool) {
		for i := uint64(0); ; i++ {
			// An odd stride visits each of 2^n places once.
			if !yield(b.at((first+i*stride)&b.last)) || i == b.last {
				return
			}
		}
	}
}

// seeds returns the first place of a node's order, and its odd stride.
func seeds(node NodeID) (first, stride uint64) {
	sum := sha256.Sum256([]byte(node))
	return binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]) | 1
}

// at returns the block with an index.
func (b *Blocks) at(index uint64) netip.Prefix {
	address := b.pool.Range().Addr().AsSlice()
	shift := b.pool.Range().Addr().BitLen() - b.bits
	for bit := range 64 {
		if index>>bit&1 == 0 {
			continue
		}
		place := len(address)*8 - 1 - (bit + shift)
		address[place/8] |= 0x80 >> (place % 8)
	}
	a, _ := netip.AddrFromSlice(address)
	return netip.PrefixFrom(a, b.bits)
}

// free returns the number of addresses of a block that are neither reserved nor leased.
func (b *Blocks) free(block netip.Prefix, leased map[netip.Addr]bool) (n int) {
	for a := block.Addr(); block.Contains(a); a = a.Next() {
		if b.pool.Reserved(a) == "" && !leased[a] {
			n++
		}
	}
	return n
}

// PoolText is the part of a network's file on which all nodes of a domain must agree.
type PoolText struct {
	Subnet  string   `json:"subnet"`
	Range   string   `json:"ip_range"`
	Gateway string   `json:"gateway,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	Block   int      `json:"block"`
}

// NewPoolText returns the text of a subnet's pool.
func NewPoolText(s specs.Subnet, block int) PoolText {
	pool := ipam.NewPool("", s, nil)
	t := PoolText{Subnet: pool.Prefix().String(), Range: pool.Range().String(), Block: block}
	if s.Gateway.IsValid() {
		t.Gateway = s.Gateway.String()
	}
	for _, e := range s.Exclude {
		t.Exclude = append(t.Exclude, e.Prefix.String())
	}
	return t
}
