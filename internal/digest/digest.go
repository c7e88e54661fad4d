// Package digest computes SHA-256 (FIPS 180-4) of short texts from which ids and MACs are
// derived: [Sum]. crypto/sha256 has the same result, but the initialisation of Go's cryptography
// module, which comes with it, costs each run of berth-hook 10 to 15 pages. Nothing here is
// secret, and no key or signature depends on it.
//
// It imports nothing of berth.
package digest

import (
	"encoding/binary"
	"math/bits"
)

// Size is the number of bytes of a digest.
const Size = 32

const block = 64 // bytes that a round of the function takes

// Sum returns the SHA-256 of data.
func Sum(data []byte) (sum [Size]byte) {
	h := initial
	rest := data
	for ; len(rest) >= block; rest = rest[block:] {
		h.add(rest[:block])
	}
	// The padding is a bit 1, zeros, and the number of bits of data in 8 bytes.
	last := append(make([]byte, 0, 2*block), rest...)
	last = append(last, 0x80)
	for len(last)%block != block-8 {
		last = append(last, 0)
	}
	last = binary.BigEndian.AppendUint64(last, uint64(len(data))*8)
	for ; len(last) > 0; last = last[block:] {
		h.add(last[:block])
	}
	for i, word := range h {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

// state is the hash value between two blocks.
type state [8]uint32

// add computes the hash value after one more block (FIPS 180-4 section 6.2.2).
func (h *state) add(data []byte) {
	var w [block]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(data[4*i:])
	}
	for i := 16; i < len(w); i++ {
		s0 := rotate(w[i-15], 7) ^ rotate(w[i-15], 18) ^ w[i-15]>>3
		s1 := rotate(w[i-2], 17) ^ rotate(w[i-2], 19) ^ w[i-2]>>10
		w[i] = w[i-16] + s0 + w[i-7] + s1
	}
	v := *h
	for i := range w {
		v = v.rounded(constants[i] + w[i])
	}
	for i := range h {
		h[i] += v[i]
	}
}

// rounded returns the working variables a to h after one round, with the sum of its constant and its word.
func (v state) rounded(kw uint32) state {
	a, b, c, e, f, g := v[0], v[1], v[2], v[4], v[5], v[6]
	t1 := v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (e&f ^ ^e&g) + kw
	t2 := (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + (a&b ^ a&c ^ b&c)
	return state{t1 + t2, a, b, c, v[3] + t1, e, f, g}
}

func rotate(x uint32, right int) uint32 { return bits.RotateLeft32(x, -right) }

// initial has the first 32 bits of the fractional parts of the square roots of the first 8 primes (FIPS
// 180-4 section 5.3.3).
var initial = state{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// constants has those of the cube roots of the first 64 primes (section 4.2.2).
var constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
