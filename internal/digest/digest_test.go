package digest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// TestExamples has the examples of FIPS 180-4 (NIST, "Examples with Intermediate Values").
func TestExamples(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
	} {
		if sum := Sum([]byte(text)); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%q: %x, want %s", text, sum, want)
		}
	}
}

// TestEveryLength compares texts of each length around the limits of blocks with Go's library.
func TestEveryLength(t *testing.T) {
	t.Parallel()
	for size := range 5 * block {
		for _, fill := range []byte{0, 0x80, 0xff, byte(size)} {
			data := bytes.Repeat([]byte{fill}, size)
			if sum := Sum(data); sum != sha256.Sum256(data) {
				t.Fatalf("%d bytes %#x: %x", size, fill, sum)
			}
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte("lan\x00web\x00eth0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if sum, want := Sum(data), sha256.Sum256(data); sum != want {
			t.Fatalf("%x, want %x", sum, want)
		}
	})
}
