package main

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

// machine is a virtual machine that runs an initramfs once.
type machine struct {
	kernel  *kernel
	initrd  string
	console string        // file for what the kernel says
	limit   time.Duration // from start to end
}

// args returns qemu's arguments: emulation, two processors, no device but two
// serial lines. The first is standard output, the second the console.
func (m *machine) args() []string {
	return []string{
		"-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1536",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "stdio", "-serial", "file:" + m.console,
		"-kernel", m.kernel.Image, "-initrd", m.initrd,
		// A kernel that oopses or panics ends its machine at once.
		"-append", "console=ttyS1 loglevel=5 no_timer_check oops=panic panic=-1 random.trust_cpu=on",
	}
}

// run starts the machine and waits for its end. What it writes to its serial
// line goes to out. It never outlives this process. It returns the processor
// time taken.
func (m *machine) run(ctx context.Context, out io.Writer) (time.Duration, error) {
	limited, cancel := context.WithTimeout(ctx, m.limit)
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
		err = fmt.Errorf("still running after %v: stopped", m.limit)
	case err != nil:
		err = fmt.Errorf("qemu: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

// said returns what the console says of an end: some lines from where the kernel
// or the guest complains, or else the last ones.
func (m *machine) said(lines int) []string {
	text, err := os.ReadFile(m.console)
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

// complaint matches the first line of what a kernel says before it dies
// (kernel/panic.c, lib/bug.c, arch/x86/kernel/dumpstack.c), and of a panic in Go.
var complaint = regexp.MustCompile(`Kernel panic|BUG: |Oops: |^panic: `)
