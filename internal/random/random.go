// Package random reads random bytes by one system call. crypto/rand first sets up Go's
// cryptography module and the memory of the vDSO's generator, which costs a process that needs six bytes more
// than the call. The bytes are the kernel's either way.
//
// [Read] fills a slice with them.
package random

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// atOnce is the number of bytes of which getrandom(2) returns all if it returns any.
const atOnce = 256

// Read fills b. A kernel that refuses getrandom(2) ends the process, as crypto/rand does.
func Read(b []byte) {
	for len(b) > 0 {
		part := b[:min(len(b), atOnce)]
		n, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(&part[0])), uintptr(len(part)), 0)
		switch errno {
		case 0:
			b = b[n:]
		case unix.EINTR: // early in a boot, while the kernel still collects randomness
		default:
			panic(fmt.Sprintf("read random bytes from the kernel (getrandom): %v", errno))
		}
	}
}

// letters are those of base32 (RFC 4648), as in crypto/rand.Text.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// Text returns 26 random letters and digits: 130 bits.
func Text() string {
	var text [26]byte
	Read(text[:])
	for i := range text {
		text[i] = letters[text[i]%byte(len(letters))]
	}
	return string(text[:])
}
