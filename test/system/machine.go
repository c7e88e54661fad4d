package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// machine is a virtual machine with its disks.
type machine struct {
	boot          *bootFiles
	root, payload string // images
	console       string // file for what the kernel and systemd print
	words         []string
	limit         time.Duration
}

// args returns qemu's arguments. The root image does not change: what a machine
// writes is kept until its end.
func (m *machine) args() []string {
	words := append([]string{
		"root=/dev/vda rw console=ttyS0 net.ifnames=0 loglevel=4 no_timer_check oops=panic panic=-1",
		"systemd.mask=apt-daily.timer systemd.mask=apt-daily-upgrade.timer systemd.mask=dpkg-db-backup.timer",
		"systemd.mask=fstrim.timer systemd.mask=e2scrub_all.timer systemd.firstboot=off",
	}, m.words...)
	return []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536", "-M", "q35",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-serial", "file:" + m.console, "-serial", "stdio",
		"-kernel", m.boot.kernel, "-initrd", m.boot.initrd, "-append", strings.Join(words, " "),
		"-drive", "if=virtio,format=raw,cache=unsafe,snapshot=on,file=" + m.root,
		"-drive", "if=virtio,format=raw,readonly=on,file=" + m.payload,
		"-netdev", "hubport,hubid=1,id=far", "-device", "virtio-net-pci,netdev=far,mac=52:54:00:00:00:01,romfile=",
		"-netdev", "hubport,hubid=1,id=parent", "-device", "virtio-net-pci,netdev=parent,mac=52:54:00:00:00:02,romfile=",
		"-device", "virtio-rng-pci",
	}
}

// run starts the machine and waits for its end. What it writes to its second
// serial line goes to out. It never outlives this process.
func (m *machine) run(ctx context.Context, out io.Writer) error {
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
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("still running after %v: stopped", m.limit)
	case err != nil:
		err = fmt.Errorf("qemu: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return err
}

// said returns the last lines of the console.
func (m *machine) said(lines int) []string {
	text, err := os.ReadFile(m.console)
	if err != nil {
		return []string{err.Error()}
	}
	all := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	return all[max(0, len(all)-lines):]
}
