package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"berth/agent/client"
	"berth/specs"
	"berth/test/lab"
)

// The sizes of the benchmark of interfaces that berth did not create.
const (
	observedEndpoints = 2000
	perNamespace      = 4
	endedNamespaces   = observedEndpoints / perNamespace / 2
	churnRate         = 100 // interfaces that are made and deleted, or processes that are started, in a second
	churnTime         = 10 * time.Second
	idleTime          = time.Minute // two resyncs of the agent
)

// The goals of that benchmark, in shares of one processor.
const (
	idleProcessor  = 0.01 // with and without interfaces
	churnProcessor = 0.5
)

func benchObserved(b *bench) (*section, error) {
	host, _, err := b.newHost("observed")
	if err != nil {
		return nil, err
	}
	if err := host.Policy("[agent]\nmax_endpoints = 4096\n"); err != nil {
		return nil, err
	}
	agent, err := host.StartAgent("--metrics", "")
	if err != nil {
		return nil, err
	}
	defer agent.Stop()
	if err := host.Enter(); err != nil {
		return nil, err
	}
	status, err := client.New(host.State).Status(context.Background())
	if err != nil {
		return nil, err
	}
	f := &foreigners{host: host, agent: agent, pid: status.PID, step: b.step, s: &section{
		how:  howObserved(),
		head: []string{"", "processor", "memory"},
	}}
	for _, measure := range []func() error{
		f.idleAlone, f.addAll, f.idleObserved, f.churnLinks, f.churnNamespaces, f.overflow, f.rested,
	} {
		if err := measure(); err != nil {
			return nil, err
		}
	}
	return f.s, nil
}

// howObserved describes the benchmark.
func howObserved() string {
	return fmt.Sprintf("%d macvlan interfaces that berth did not create, in %d named namespaces. "+
		"Processor time is that of the agent's process within %s, or within %s if idle, as a share of one processor. "+
		"Churn: each second %d interfaces are made and deleted again, or %d processes start, "+
		"each in a namespace of its own, which ends with it. "+
		"Overflow: the agent is stopped (SIGSTOP) while more changes happen than its netlink socket can hold. "+
		"Memory is the resident memory of the process, the least within %s, and in parentheses that without the pages "+
		"of its files: the kernel reclaims those pages when it likes, and Go's runtime gives back what the agent no "+
		"longer uses within about half a minute.",
		observedEndpoints, observedEndpoints/perNamespace, churnTime, idleTime, churnRate, churnRate, releaseWait)
}

// foreigners makes interfaces as another program does, and measures the agent.
type foreigners struct {
	host  *lab.Host
	agent *lab.Daemon
	pid   int
	s     *section
	step  func(done, of int)
	done  int
}

// processorOf returns the share of one processor that the agent uses while do runs.
func (f *foreigners) processorOf(do func() error) (share float64, err error) {
	f.done++
	f.step(f.done, 8)
	before, err := processorTime(f.pid)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	after, err := processorTime(f.pid)
	return (after - before).Seconds() / time.Since(begin).Seconds(), err
}

// row measures the agent while do runs, and adds a row with a goal.
func (f *foreigners) row(what string, most float64, do func() error) error {
	share, err := f.processorOf(do)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	f.s.judge(fmt.Sprintf("≤ %.0f %%", most*100), share <= most, what, percent(share), "")
	return f.hasNoProblem()
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", share*100) }

// idleRow measures the agent while nothing happens, and adds a row with its memory.
func (f *foreigners) idleRow(what string) error {
	share, err := f.processorOf(waitIdle)
	if err != nil {
		return err
	}
	memory, err := f.memory()
	if err != nil {
		return err
	}
	f.s.judge(fmt.Sprintf("≤ %.0f %%", idleProcessor*100), share <= idleProcessor, what, percent(share), memory)
	return f.hasNoProblem()
}

// memory returns the agent's resident memory, and the part of it without a file.
func (f *foreigners) memory() (string, error) {
	all, own, err := settled(f.pid)
	return fmt.Sprintf("%s (%s)", megabytes(all), megabytes(own)), err
}

func waitIdle() error {
	time.Sleep(idleTime)
	return nil
}

func (f *foreigners) idleAlone() error { return f.idleRow("idle, no interface") }

// namesSettled is the time after which the agent no longer searches each second for the names of a
// new interface.
const namesSettled = 40 * time.Second

func (f *foreigners) idleObserved() error {
	share, err := f.processorOf(func() error {
		time.Sleep(namesSettled)
		return nil
	})
	if err != nil {
		return err
	}
	f.s.addRow("while their names are searched", percent(share), "")
	return f.idleRow(fmt.Sprintf("idle, %d interfaces", observedEndpoints))
}

// addAll makes all interfaces and waits until the agent counts them.
func (f *foreigners) addAll() error {
	var batch strings.Builder
	for i := range observedEndpoints {
		ns := foreignNamespace(i / perNamespace)
		if i%perNamespace == 0 {
			fmt.Fprintf(&batch, "netns add %s\n", ns)
		}
		fmt.Fprintf(&batch, "link add link eth1 name net%d netns %s address %s up type macvlan mode bridge\n",
			i%perNamespace, ns, manyMAC(i))
	}
	begin := time.Now()
	share, err := f.processorOf(func() error {
		if err := runBatch(batch.String()); err != nil {
			return err
		}
		f.s.fact("To make the %d interfaces took ip(8) %.1f s.", observedEndpoints, time.Since(begin).Seconds())
		begin = time.Now()
		return f.waitCounted(observedEndpoints)
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("until %d new interfaces are counted", observedEndpoints)
	f.s.addRow(what, percent(share), "")
	f.s.fact("All are counted %.2f s after the last is made.", time.Since(begin).Seconds())
	return f.hasNoProblem()
}

func foreignNamespace(i int) string { return fmt.Sprintf("foreign%d", i) }

func runBatch(text string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(text)
	_, err := lab.Output(cmd)
	return err
}

// counted returns the number of observed interfaces that the agent counts.
func (f *foreigners) counted() (n int, err error) {
	all, err := client.New(f.host.State).Endpoints(context.Background(), false)
	for _, e := range all {
		if e.Origin == specs.OriginObserved && e.Counted && e.Phase == specs.PhaseAttached {
			n++
		}
	}
	return n, err
}

// waitCounted waits until the agent counts a number of observed interfaces.
func (f *foreigners) waitCounted(want int) error {
	return lab.Eventually(2*time.Minute, func() error {
		time.Sleep(200 * time.Millisecond) // each answer has all interfaces
		n, err := f.counted()
		if err == nil && n != want {
			err = fmt.Errorf("%d observed interfaces are counted, want %d", n, want)
		}
		return err
	})
}

// hasNoProblem waits until the agent has no problem: while links come and go, it may have to read the
// list of a namespace again.
func (f *foreigners) hasNoProblem() error {
	return lab.Eventually(30*time.Second, func() error {
		status, err := client.New(f.host.State).Status(context.Background())
		if err == nil && len(status.Problems) > 0 {
			err = fmt.Errorf("the agent has problems: %q", status.Problems)
		}
		return err
	})
}

// churnLinks makes interfaces in a namespace, and deletes each a little later.
func (f *foreigners) churnLinks() error {
	const later = 5
	makes, err := startBatch()
	if err != nil {
		return err
	}
	deletes, err := startBatch("-netns", foreignNamespace(0))
	if err != nil {
		return errors.Join(err, makes.end())
	}
	err = f.row("churn of interfaces", churnProcessor, func() error {
		return f.atRate("interfaces made and deleted", func(i int) error {
			if i >= later {
				deletes.write("link delete churn%d\n", i-later)
			}
			return makes.write("link add link eth1 name churn%d netns %s address %s up type macvlan mode bridge\n",
				i, foreignNamespace(0), manyMAC(observedEndpoints+i%1000))
		})
	})
	err = errors.Join(err, makes.end(), deletes.end())
	anew := fmt.Sprintf("netns delete %[1]s\nnetns add %[1]s\n", foreignNamespace(0))
	return errors.Join(err, runBatch(anew), f.waitCounted(observedEndpoints-perNamespace))
}

// ipBatch is an ip(8) that reads commands until its end. A command that fails does not end it.
type ipBatch struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func startBatch(flags ...string) (*ipBatch, error) {
	b := &ipBatch{cmd: exec.Command("ip", append(flags, "-force", "-batch", "-")...)}
	var err error
	if b.stdin, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return b, b.cmd.Start()
}

func (b *ipBatch) write(format string, args ...any) error {
	_, err := fmt.Fprintf(b.stdin, format, args...)
	return err
}

// end waits until all commands are done. It ignores those that have failed.
func (b *ipBatch) end() error {
	err := b.stdin.Close()
	_ = b.cmd.Wait()
	return err
}

// churnNamespaces starts processes in namespaces of their own.
func (f *foreigners) churnNamespaces() error {
	return f.row("churn of namespaces", churnProcessor, func() error {
		return f.atRate("processes started", func(int) error { return exec.Command("unshare", "--net", "true").Run() })
	})
}

// atRate calls do at churnRate for churnTime, or one call after another if that is slower, and notes the
// rate that it reached.
func (f *foreigners) atRate(what string, do func(i int) error) error {
	tick := time.NewTicker(time.Second / churnRate)
	defer tick.Stop()
	end, i := time.Now().Add(churnTime), 0
	defer func() { f.s.fact("Churn: %d %s in %s.", i, what, churnTime) }()
	for ; time.Now().Before(end); i++ {
		if err := do(i); err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}
