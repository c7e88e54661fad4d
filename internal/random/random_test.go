package random

import (
	"bytes"
	"strings"
	"testing"
)

func TestReadFillsAll(t *testing.T) {
	for _, size := range []int{0, 1, 6, atOnce, atOnce + 1, 4 * atOnce} {
		changed := make([]byte, size)
		for range 64 { // each byte differs from zero at least once
			b := make([]byte, size)
			Read(b)
			for i, c := range b {
				changed[i] |= c
			}
		}
		if bytes.IndexByte(changed, 0) >= 0 {
			t.Errorf("not all of %d bytes are random", size)
		}
	}
}

func TestTextIsRandomLetters(t *testing.T) {
	seen := make(map[rune]bool)
	for range 64 {
		text := Text()
		if len(text) != 26 || strings.Trim(text, letters) != "" {
			t.Fatalf("%q, want 26 of %s", text, letters)
		}
		for _, c := range text {
			seen[c] = true
		}
	}
	if len(seen) != len(letters) {
		t.Errorf("64 texts contain %d different letters, want all %d", len(seen), len(letters))
	}
}
