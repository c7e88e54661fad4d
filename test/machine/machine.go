// Package machine runs emulated machines: test/vm boots a kernel with an
// initramfs, test/system a whole Debian, test/engines a tree with engines. The first two
// write events of package plan to a serial line, which a [Reader] reads, and the console
// to another.
//
// [Debian] is a tree with a kernel, and [MakeImage] makes a disk of a tree.
//
// [Debian] is a tree with a kernel, and [MakeImage] makes a disk of a tree.
//
// A machine is qemu with its own emulation of processors (TCG). It shows the
// behaviour of a kernel, not its speed.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Machine is a virtual machine that runs once, without any device but those of
// its arguments.
type Machine struct {
	Args    []string      // of qemu, beside processors and memory
	Console string        // file that has the console's output
	Limit   time.Duration // from start to end
}

// processor is the model of the emulated processors. With ERMS a kernel copies and clears by single
// bytes (arch/x86/lib: clear_page_64.S, copy_user_64.S, memcpy_64.S), which the emulator does one
// after another; without it by words of 8. That is a fourth of all time.
const processor = "max,erms=off"

// args returns qemu's arguments.
func (m *Machine) args() []string {
	return append([]string{
		"-accel", "tcg,thread=multi", "-cpu", processor, "-smp", "2", "-m", "1536",
		"-nodefaults", "-no-user-config", "-display", "none",
	}, m.Args...)
}

// Boot returns the kernel's command line for a machine that ends at once if its
// kernel oopses or panics. All emulated processors have the same time stamp
// counter, and none has the faults of a real one, so that mitigations only cost time
// (Documentation/admin-guide/kernel-parameters.txt).
func Boot(words ...string) string {
	own := append([]string{"no_timer_check tsc=reliable mitigations=off oops=panic panic=-1"}, tscWords()...)
	return strings.Join(append(own, words...), " ")
}

// Run starts the machine and waits for its end. The output of the serial line
// that is qemu's "stdio" goes to out. The machine ends with this process. Run
// returns the processor time that it took.
func (m *Machine) Run(ctx context.Context, out io.Writer) (time.Duration, error) {
	limited, cancel := context.WithTimeout(ctx, m.Limit)
	defer cancel()
	cmd := exec.CommandContext(limited, "qemu-system-x86_64", m.args()...)
	cmd.Stdout = out
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return 0, err
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("still running after %v: stopped", m.Limit)
	case err != nil:
		err = fmt.Errorf("qemu: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

// ConsoleEnd returns lines of the console that explain an end: those from the
// first complaint of the kernel or the guest, or else the last ones.
func (m *Machine) ConsoleEnd(lines int) []string {
	text, err := os.ReadFile(m.Console)
	if err != nil {
		return []string{err.Error()}
	}
	all := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	from := slices.IndexFunc(all, complaint.MatchString)
	if from < 0 {
		from = max(0, len(all)-lines)
	}
	return all[from:min(from+lines, len(all))]
}

// complaint matches the first line that a kernel prints before it dies
// (kernel/panic.c, lib/bug.c, arch/x86/kernel/dumpstack.c), and that of a panic in
// Go.
var complaint = regexp.MustCompile(`Kernel panic|BUG: |Oops: |^panic: `)
