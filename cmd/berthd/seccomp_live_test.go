package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sandbox is the environment variable with a file that has a seccomp filter, under which
// the test binary starts again.
const sandbox = "BERTHD_SANDBOX"

// enterSandbox installs the filter in this process and executes it again.
func enterSandbox(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw)/8)
	if err := binary.Read(bytes.NewReader(raw), binary.NativeEndian, filter); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Unsetenv(sandbox); err != nil {
		return err
	}
	runtime.LockOSThread() // the filter belongs to the thread, and so to its execve
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	return unix.Exec(exe, os.Args, os.Environ())
}

// The results of a filter (seccomp(2)).
const (
	allow  = unix.SECCOMP_RET_ALLOW
	refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
)

// argOffset returns the offset in struct seccomp_data of the low half of argument i, on a
// little-endian machine; the number is at 0.
func argOffset(i int) uint32 { return uint32(16 + 8*i) }

func bpfStatement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func loadWord(at uint32) unix.SockFilter {
	return bpfStatement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at)
}

// answerIf answers if the loaded word is k; else the filter goes on.
func answerIf(k, answer uint32) []unix.SockFilter {
	return []unix.SockFilter{{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: 1}, bpfStatement(unix.BPF_RET|unix.BPF_K, answer)}
}

// onlyIfCall runs the part for one system call, which must end in an answer.
func onlyIfCall(number uint32, part []unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: uint8(len(part))}}, part...)
}

// filterOf returns the filter that systemd builds from a unit: SystemCallFilter with
// RestrictAddressFamilies, RestrictNamespaces and MemoryDenyWriteExecute.
func filterOf(t *testing.T, u unit) []byte {
	t.Helper()
	numbers := systemCalls(t)
	var families []unix.SockFilter
	for _, name := range u.directiveWords("RestrictAddressFamilies") {
		family, ok := map[string]uint32{"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_NETLINK": unix.AF_NETLINK}[name]
		if !ok {
			t.Fatalf("family %q", name)
		}
		families = append(families, answerIf(family, allow)...)
	}
	refused := bpfStatement(unix.BPF_RET|unix.BPF_K, refuse)
	filter := []unix.SockFilter{loadWord(0)}
	filter = append(filter, onlyIfCall(numbers["socket"], append(append([]unix.SockFilter{loadWord(argOffset(0))}, families...), refused))...)
	for call, bits := range map[string]uint32{"mmap": unix.PROT_WRITE | unix.PROT_EXEC, "mprotect": unix.PROT_EXEC} {
		part := []unix.SockFilter{loadWord(argOffset(2)), bpfStatement(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, bits)}
		part = append(append(part, answerIf(bits, refuse)...), bpfStatement(unix.BPF_RET|unix.BPF_K, allow))
		filter = append(filter, onlyIfCall(numbers[call], part)...)
	}
	for _, name := range []string{"setns", "unshare"} {
		filter = append(filter, answerIf(numbers[name], refuse)...)
	}
	var allowed, refusedCalls []string
	for _, word := range u.directiveWords("SystemCallFilter") {
		if word, not := strings.CutPrefix(word, "~"); not {
			refusedCalls = append(refusedCalls, word)
		} else {
			allowed = append(allowed, word)
		}
	}
	not := expandGroups(t, refusedCalls)
	for _, name := range expandGroups(t, allowed) {
		if number, ok := numbers[name]; ok && !slices.Contains(not, name) { // the others are of other machines
			filter = append(filter, answerIf(number, allow)...)
		}
	}
	var raw bytes.Buffer
	mustSucceed(t, binary.Write(&raw, binary.NativeEndian, append(filter, refused)))
	return raw.Bytes()
}

// systemCalls returns the numbers of this machine's system calls, from the kernel's header.
func systemCalls(t *testing.T) map[string]uint32 {
	t.Helper()
	header := map[string]string{"amd64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "arm64": "/usr/include/asm-generic/unistd.h"}[runtime.GOARCH]
	text, err := os.ReadFile(header)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s of Debian's linux-libc-dev is not installed, which has the numbers of system calls; "+
			"install it first: make deps", header)
	}
	mustSucceed(t, err)
	numbers := make(map[string]uint32)
	for _, found := range regexp.MustCompile(`(?m)^#define __NR(?:3264)?_(\w+)\s+(\d+)$`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.Atoi(found[2])
		mustSucceed(t, err)
		numbers[found[1]] = uint32(n)
	}
	return numbers
}

// expandGroups replaces systemd's sets by their system calls.
func expandGroups(t *testing.T, words []string) (names []string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	mustSucceed(t, err)
	sets, set := make(map[string][]string), ""
	for line := range strings.Lines(string(out)) {
		switch word := strings.TrimSpace(line); {
		case word == "" || word[0] == '#':
		case line[0] == '@':
			set = word
		default:
			sets[set] = append(sets[set], word)
		}
	}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word[0] == '@' {
			words = append(words, sets[word]...)
		} else {
			names = append(names, word)
		}
	}
	return names
}
