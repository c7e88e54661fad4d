package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"berth/test/lab"
)

// crowdSize is the number of containers that start at once.
const crowdSize = 100

func benchCrowd(b *bench) (*section, error) {
	host, stop, err := b.enterHost("crowd")
	defer stop()
	if err != nil {
		return nil, err
	}
	peers := []peer{newBerth(berthAlone, host, onLAN),
		newCNI(cniAlone, pluginDir, filepath.Join(host.Dir, "cni"), cniSubnet)}
	repeats := max(1, b.rounds/13)
	got := make(map[string]*[2][]time.Duration) // one after another, at once
	for _, p := range peers {
		got[p.name] = new([2][]time.Duration)
	}
	for i := range 2 * repeats * len(peers) {
		b.step(i, 2*repeats*len(peers))
		p, atOnce := peers[i%2], i/2%2
		took, err := startCrowd(host, p, fmt.Sprint("r", i), atOnce == 1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		got[p.name][atOnce] = append(got[p.name][atOnce], took)
	}
	return crowdSection(got, repeats), nil
}

func crowdSection(got map[string]*[2][]time.Duration, repeats int) *section {
	s := &section{
		how: fmt.Sprintf("%d attachments on one parent, all started together, or one after the other. "+
			"The time until all have ended: medians of %d. All succeeded, and no address was given twice.", crowdSize, repeats),
		head: []string{"", "berth-hook", "CNI", "ratio"},
	}
	var all [2][2]time.Duration
	for i, name := range []string{berthAlone, cniAlone} {
		for atOnce := range all[i] {
			all[i][atOnce] = median(got[name][atOnce])
		}
	}
	for atOnce, what := range []string{"one after another", "at once"} {
		s.addRow(what, ms(all[0][atOnce]), ms(all[1][atOnce]), fold(ratio(all[1][atOnce], all[0][atOnce])))
	}
	s.addRow("at once, to one after another", fold(ratio(all[0][1], all[0][0])), fold(ratio(all[1][1], all[1][0])), "")
	return s
}

// startCrowd times the attachments of many containers, checks their addresses, and
// removes the containers.
func startCrowd(host *lab.Host, p peer, prefix string, atOnce bool) (took time.Duration, err error) {
	all := make([]*container, crowdSize)
	attaches := make([]command, crowdSize)
	id := func(i int) string { return fmt.Sprintf("%s-%d", prefix, i) }
	for i := range all {
		if all[i], err = newContainer(); err != nil {
			return 0, err
		}
		defer all[i].end()
		attaches[i] = p.attach(id(i), all[i].pid)
	}
	if atOnce {
		took, err = together(host, attaches)
	} else {
		took, err = inTurn(attaches)
	}
	if err == nil {
		err = distinct(all)
	}
	for i, c := range all {
		c.end()
		err = errors.Join(err, p.detach(id(i), 0).runUntimed())
	}
	<-time.After(settle)
	return took, err
}

func inTurn(all []command) (time.Duration, error) {
	begin := time.Now()
	for _, c := range all {
		if err := c.runUntimed(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// together starts all commands at once, each from a thread that has already entered the
// host's namespace.
func together(host *lab.Host, all []command) (time.Duration, error) {
	errs := make([]error, len(all))
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i, c := range all {
		ready.Add(1)
		done.Go(func() {
			runtime.LockOSThread() // it ends on the host, with this goroutine
			errs[i] = host.Enter()
			ready.Done()
			<-start
			errs[i] = errors.Join(errs[i], c.runUntimed())
		})
	}
	ready.Wait()
	begin := time.Now()
	close(start)
	done.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// distinct checks that every container has an address that no other has.
func distinct(all []*container) error {
	seen := make(map[string]bool)
	for _, c := range all {
		out, err := c.ip("-o", "-4", "address", "show", "dev", "net1")
		if err != nil {
			return err
		}
		fields := strings.Fields(out) // 2: net1    inet 198.51.100.2/24 …
		if len(fields) < 4 || seen[fields[3]] {
			return fmt.Errorf("an address is missing, or given twice: %q", out)
		}
		seen[fields[3]] = true
	}
	return nil
}
