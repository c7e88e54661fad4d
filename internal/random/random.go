// Package random reads random bytes by one system call. crypto/rand first sets up Go's
// cryptography module and the memory of the vDSO's generator, which costs a process that needs six bytes more
// than the call. The bytes are the kernel's either way.
package random

import (
	"crypto/rand"
	"unsafe"

	"golang.org/x/sys/unix"
)

// atOnce is the number of bytes of which getrandom(2) returns all if it returns any.
const atOnce = 256

// Read fills b. It never fails, as crypto/rand does not.
func Read(b []byte) {
	if len(b) > 0 && len(b) <= atOnce {
		n, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0)
		if errno == 0 && int(n) == len(b) {
			return
		}
	}
	_, _ = rand.Read(b)
}
