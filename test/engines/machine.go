package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"berth/test/command"
	"berth/test/machine"
	"berth/test/tree"
)

// machineSuite is the Debian whose kernel the machines boot: test/system has a tree of it.
const machineSuite = "trixie"

// machineSpare is the time that a machine takes before and after its tests.
const machineSpare = 2 * time.Minute

// machineInit is process 1 of a machine: it runs the script "run" of its second disk, and
// switches the machine off.
//
//go:embed machine-init.sh
var machineInit []byte

// runInMachine runs the tests in an emulated machine, whose root file system is the
// engine's tree. It is for kinds of interface that the kernel of the testing machine may
// lack. The machine has no network; its writes are discarded at its end.
func runInMachine(ctx context.Context, o *options, e engine, t *tree.Tree, share string, log *os.File,
	args []string) (int, error) {
	dir, err := os.MkdirTemp("", "berth-machine-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	boot, err := makeDisks(ctx, e, t, share, dir, args)
	if err != nil {
		return 0, err
	}
	m := newMachine(boot, dir, o.timeout)
	busy, err := m.Run(ctx, log)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	fmt.Printf("engines: the machine took %.0f s of processor time\n", busy.Seconds())
	status := 1
	if err == nil {
		status, err = exitStatus(log)
	}
	if err != nil {
		fmt.Fprintf(log, "machine: %v\nconsole: %s\n", err, strings.Join(m.ConsoleEnd(20), "\nconsole: "))
	}
	return status, nil
}

func newMachine(boot *machine.BootFiles, dir string, limit time.Duration) *machine.Machine {
	disk := func(name string) string {
		return "if=virtio,format=raw,cache=unsafe,snapshot=on,file=" + filepath.Join(dir, name)
	}
	console := filepath.Join(dir, "console")
	return &machine.Machine{Console: console, Limit: limit, Args: []string{
		"-no-reboot", "-serial", "file:" + console, "-serial", "stdio",
		"-kernel", boot.Kernel, "-initrd", boot.Initrd,
		"-append", machine.Boot("root=/dev/vda rw console=ttyS0 loglevel=4 init=/machine-init"),
		"-drive", disk("root.ext4"), "-drive", disk("share.ext4"), "-device", "virtio-rng-pci",
	}}
}

// makeDisks makes the disks of a machine in a directory: the engine's tree, and a disk
// with the programs, the kernel's modules and the command that runs the tests.
func makeDisks(ctx context.Context, e engine, t *tree.Tree, share, dir string,
	args []string) (*machine.BootFiles, error) {
	debian, err := machine.Debian(ctx, machineSuite)
	if err != nil {
		return nil, err
	}
	defer debian.Close()
	inside := filepath.Join(dir, "share")
	if err := command.Execute(ctx, nil, "cp", "-a", share, inside); err != nil {
		return nil, err
	}
	modules := filepath.Join(debian.Dir, "usr/lib/modules")
	if err := command.Execute(ctx, nil, "cp", "-a", modules, inside); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		filepath.Join(inside, "run"): runScript(e, args), filepath.Join(dir, "machine-init"): string(machineInit),
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	root := filepath.Join(dir, "root.ext4")
	if err := machine.MakeImage(ctx, t.Dir, root, "4G"); err != nil {
		return nil, err
	}
	if err := machine.ChangeImage(ctx, root, "write "+filepath.Join(dir, "machine-init")+" machine-init\n"); err != nil {
		return nil, err
	}
	if err := machine.MakeImage(ctx, inside, filepath.Join(dir, "share.ext4"), "2G"); err != nil {
		return nil, err
	}
	return machine.CopyBootFiles(ctx, debian, dir)
}

// runScript returns the script that runs the tests.
func runScript(e engine, args []string) string {
	text := "#!/bin/sh\nexport PATH=" + e.path() + " BERTH_E2E_BIN=" + shareDir + "/bin HOME=/root\n" +
		"set -- " + shareDir + "/e2e.test"
	for _, arg := range args {
		text += " '" + arg + "'"
	}
	return text + "\nexec sh -c '" + runTests + "' \"$@\"\n"
}

// ended matches the last line of a machine, which has the exit status of the tests.
var ended = regexp.MustCompile(`(?m)^machine-init: exit status (\d+)\r?$`)

// exitStatus returns the exit status of the tests in a machine's output.
func exitStatus(log *os.File) (int, error) {
	text, err := os.ReadFile(log.Name())
	if err != nil {
		return 1, err
	}
	found := ended.FindSubmatch(text)
	if found == nil {
		return 1, errors.New("the machine ended before its tests")
	}
	return strconv.Atoi(string(found[1]))
}
