package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"berth/test/command"
	"berth/test/machine"
	"berth/test/machine/plan"
	"berth/test/results"
)

// nodeNames are the machines of -nodes. Their cards are on one LAN.
var nodeNames = []string{"rack1", "rack2"}

// nodeTools are the programs of this machine that the nodes run, in addition to those of tests and
// a static busybox.
var nodeTools = []string{"cp", "runc"}

// nodesPackage is the program of the nodes.
const nodesPackage = "berth/test/vm/nodes"

// addNodes adds the program of the nodes, the page that it follows, and berth's programs.
func (img *image) addNodes(ctx context.Context, dir string) error {
	const page = "/docs/cluster.md"
	if err := img.addPrograms(ctx, dir, "test/vm/nodes", "cmd/berth", "cmd/berth-hook", "cmd/berthd"); err != nil {
		return err
	}
	text, err := os.ReadFile("docs/cluster.md")
	if err != nil {
		return err
	}
	img.tree.file(page[1:], text)
	img.plan.Tests = append(img.plan.Tests, plan.Test{Package: nodesPackage, Dir: "/root",
		Args: []string{"/berth/nodes", page}})
	return img.tree.addTools(ctx, nodeTools)
}

// addPrograms adds programs of berth's, and a static busybox.
func (img *image) addPrograms(ctx context.Context, dir string, names ...string) error {
	tags := map[string]string{"cmd/berth-hook": "hook"}
	for _, name := range names {
		binary := filepath.Join(dir, filepath.Base(name))
		err := command.Go(ctx, ".", "build", "-tags", tags[name], "-o", binary, "-ldflags=-s -w", "berth/"+name)
		if err != nil {
			return err
		}
		img.tree.program("berth/"+filepath.Base(name), binary)
	}
	busybox, err := findTool("busybox")
	if err != nil {
		return err
	}
	img.tree.program("bin/busybox", busybox)
	return nil
}

// testNodes boots the nodes, the first with the first kernel and the second with the last one. It
// repeats the test once if it failed and the options ask for it, and after a fault of the emulator.
func testNodes(ctx context.Context, dir string, o *options, img *image) (bool, error) {
	var booted []*kernel
	for _, series := range []string{o.series[0], o.series[len(o.series)-1]} {
		k, err := kernels{o.cache}.newestOf(ctx, series)
		if err == nil {
			err = img.write(ctx, k, img.plan.Tests, nodeImage(dir, k))
		}
		if err != nil {
			return false, err
		}
		booted = append(booted, k)
	}
	var all []results.Result
	more := min(o.again, 1)
	for boot := 1; ; boot++ {
		passed, faulty, ended, err := bootNodes(ctx, dir, o, booted)
		if err != nil {
			return false, err
		}
		if !faulty {
			all = append(all, ended...)
		}
		switch {
		case !passed && faulty && boot < boots:
			fmt.Println("a fault of the emulator ended a kernel; again")
		case !passed && more > 0:
			more--
			fmt.Println("again, on new machines")
		case o.results != "":
			return passed, results.Write(filepath.Join(o.results, "vm-nodes.json"), all)
		default:
			return passed, nil
		}
	}
}

func nodeImage(dir string, k *kernel) string { return filepath.Join(dir, k.Release+".cpio") }

// bootNodes runs the test once. It reports whether all nodes passed, and whether a fault of the
// emulator ended one.
func bootNodes(ctx context.Context, dir string, o *options, booted []*kernel) (passed, faulty bool,
	all []results.Result, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	passed = true
	for i, name := range nodeNames {
		group.Go(func() {
			r := &report{out: os.Stdout, prefix: name + "| ", mark: o.mark, verbose: true, bench: true,
				missing: []string{nodesPackage}}
			why, console := bootNode(ctx, newNode(dir, i, booted[i], o.timeout), r)
			mu.Lock()
			defer mu.Unlock()
			passed = passed && len(why) == 0
			faulty = faulty || !r.done && isEmulatorsFault(console)
			all = append(all, nodeResult(name, booted[i], append(console, why...), len(why) == 0))
		})
	}
	group.Wait()
	return passed, faulty, all, ctx.Err()
}

// bootNode runs a machine. It returns the reasons for which it has not passed, or none, and the end
// of its console.
func bootNode(ctx context.Context, m *machine.Machine, r *report) (why, console []string) {
	start := time.Now()
	busy, err := m.Run(ctx, r.reader())
	if err != nil {
		r.fault(err.Error())
	}
	why, console = r.verdict(), m.ConsoleEnd(20)
	for _, reason := range why {
		r.print("FAIL: " + reason)
	}
	if len(why) > 0 && !r.done {
		r.printAll("console: ", console)
	}
	r.print(fmt.Sprintf("%s, in %.0f s, %.0f s of processor time", verdictWord(why), time.Since(start).Seconds(),
		busy.Seconds()))
	return why, console
}

// nodeResult returns the outcome of a node. The output of one that passed is not kept.
func nodeResult(name string, k *kernel, output []string, passed bool) results.Result {
	r := results.Result{Package: nodesPackage, Test: name, Where: k.Release, Outcome: results.Pass}
	if !passed {
		r.Outcome, r.Output = results.Fail, results.LastLines(output)
	}
	return r
}

func verdictWord(why []string) string {
	if len(why) > 0 {
		return "failed"
	}
	return "passed"
}

// noKernelMemory keeps Linux from patching the code of its allocators when runc makes the first
// cgroup. The emulator may go on with its translation of the old code: a processor then repeats one
// instruction of kmem_cache_alloc for ever, and the machine leaves the LAN.
const noKernelMemory = "cgroup.memory=nokmem"

// newNode returns a machine whose card is on the LAN: its frames are datagrams to the socket of
// the other machine.
func newNode(dir string, i int, k *kernel, limit time.Duration) *machine.Machine {
	name, other := nodeNames[i], nodeNames[1-i]
	socket := func(name string) string { return filepath.Join(dir, name+".lan") }
	m := newMachine(k, nodeImage(dir, k), filepath.Join(dir, name+".console"), limit, "berth.node="+name, noKernelMemory)
	m.Args = append(m.Args,
		"-netdev", "dgram,id=lan,local.type=unix,local.path="+socket(name)+
			",remote.type=unix,remote.path="+socket(other),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=lan,mac=52:54:00:00:00:%02x,romfile=", i+1))
	return m
}
