package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/test/lab"
)

// orphans is the time that the children of a killed plugin are given to end.
const orphans = 60 * time.Millisecond

// aftermath counts the state that remains after plugins were killed.
type aftermath struct {
	killed      int // before they ended by themselves
	retried     int // the attachment was requested again
	retryFailed int
	leftLink    int // in the container, after its release
	leftLease   int // after the container's end too
	example     string
}

// victim is a plugin that is killed, and the leases that it has recorded.
type victim struct {
	peer
	leases func() (map[string]bool, error)
}

// victimsOf returns berth-hook and CNI's plugin on a host.
func victimsOf(host *lab.Host) []victim {
	cniDir := filepath.Join(host.Dir, "cni")
	return []victim{
		{newBerth(berthAlone, host, onLAN), func() (map[string]bool, error) { return berthLeases(host) }},
		{newCNI(cniAlone, pluginDir, cniDir, cniSubnet),
			func() (map[string]bool, error) { return cniLeases(filepath.Join(cniDir, "lan")) }},
	}
}

func benchKilled(b *bench) (*section, error) {
	host, stop, err := b.enterHost("killed")
	defer stop()
	if err != nil {
		return nil, err
	}
	kinds := victimsOf(host)
	var got [2]aftermath
	kills := 2 * b.rounds
	for k, kind := range kinds {
		whole, err := least(kind.peer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
		for i := range kills {
			b.step(k*kills+i, len(kinds)*kills)
			after := whole * time.Duration(2*(i/2)+1) / time.Duration(kills)
			if err := got[k].kill(kind.peer, fmt.Sprint("k", i), after, i%2 == 0, kind.leases); err != nil {
				return nil, fmt.Errorf("%s, killed after %v: %w", kind.name, after, err)
			}
		}
	}
	return killedSection(got), nil
}

func killedSection(got [2]aftermath) *section {
	s := &section{
		how: "The process is killed (SIGKILL) at moments spread evenly over the shortest time that it takes. Every second " +
			"attachment is " +
			"then requested again, as by an engine that restarts a container. At the end the container is released in the " +
			"usual way, " +
			"with its namespace alive.",
		head: []string{"", "berth-hook", "CNI"},
	}
	line := func(what string, number func(a aftermath) int) []string {
		return []string{what, fmt.Sprint(number(got[0])), fmt.Sprint(number(got[1]))}
	}
	s.addRow(line("killed before it was done", func(a aftermath) int { return a.killed })...)
	s.addRow(line("of these asked for once more", func(a aftermath) int { return a.retried })...)
	for _, l := range [][]string{
		line("that failed", func(a aftermath) int { return a.retryFailed }),
		line("link left in the container after release", func(a aftermath) int { return a.leftLink }),
		line("address still leased after release", func(a aftermath) int { return a.leftLease }),
	} {
		s.judge("0", l[1] == "0", l...)
	}
	for i, name := range []string{berthAlone, cniAlone} {
		if got[i].example != "" {
			s.fact("%s: the first request that failed: %s", name, got[i].example)
		}
	}
	return s
}

// least returns the time of an undisturbed attachment. Most plugins that are killed
// within that time have not finished.
func least(p peer) (time.Duration, error) {
	var took [things][]time.Duration
	for i := range 2 * warmUp {
		if err := measureLife(p, fmt.Sprint("usual", i), true, &took); err != nil {
			return 0, err
		}
	}
	return quantile(took[attach], 0), nil
}

// kill kills one attachment after a time and counts the remaining state.
func (a *aftermath) kill(p peer, id string, after time.Duration, again bool,
	leases func() (map[string]bool, error)) error {
	c, err := newContainer()
	if err != nil {
		return err
	}
	defer c.end()
	cmd, _, err := p.attach(id, c.pid).prepare()
	if err != nil {
		return err
	}
	cmd.WaitDelay = orphans // they have its standard output
	if err := cmd.Start(); err != nil {
		return err
	}
	<-time.After(after)
	_ = cmd.Process.Kill() // it may have ended
	if cmd.Wait() == nil {
		return p.detach(id, c.pid).runUntimed()
	}
	a.killed++
	<-time.After(orphans)
	if again {
		a.retried++
		if err := p.attach(id, c.pid).runUntimed(); err != nil {
			a.retryFailed++
			if a.example == "" {
				a.example = reason(err)
			}
		}
	}
	return a.countLeft(p, id, c, leases)
}

// countLeft releases the container and counts the remaining state.
func (a *aftermath) countLeft(p peer, id string, c *container, leases func() (map[string]bool, error)) error {
	// CNI's may fail after a plugin was killed; the remaining state is checked instead.
	_ = p.detach(id, c.pid).runUntimed()
	links, err := c.ip("-o", "link")
	if err != nil {
		return err
	}
	if strings.Count(links, "\n") > 1 { // lo
		a.leftLink++
	}
	c.end()
	_ = p.detach(id, 0).runUntimed()
	held, err := leases()
	if held[id] {
		a.leftLease++
	}
	return err
}

// reason returns the message of a plugin's error, without CNI's JSON around it.
func reason(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if _, message, ok := strings.Cut(text, `"msg": "`); ok {
		text, _, _ = strings.Cut(message, `" }`)
	}
	return text
}

// berthLeases returns the containers that have an address.
func berthLeases(host *lab.Host) (map[string]bool, error) {
	held := make(map[string]bool)
	err := state.Open(host.State).View(context.Background(), func(tx *state.Tx) error {
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			held[l.Container] = true
		}
		return nil
	})
	return held, err
}

// cniLeases returns the same for host-local, which writes one file per address.
func cniLeases(dir string) (map[string]bool, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	held := make(map[string]bool)
	for _, f := range files {
		text, readErr := os.ReadFile(filepath.Join(dir, f.Name()))
		err = errors.Join(err, readErr)
		id, _, _ := strings.Cut(string(text), "\r\n")
		held[id] = true
	}
	return held, err
}
