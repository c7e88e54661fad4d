package main

import (
	"fmt"
	"path/filepath"

	"berth/test/lab"
)

// The peers of part probe with -against.
const (
	otherAlone   = "other berth-hook"
	otherProbing = "other berth-hook, probing"
)

// benchTurns compares the hooks of two builds, with and without the probe. They share the
// host and its state.
func benchTurns(b *bench, host *lab.Host) (*section, error) {
	bin, err := b.against.programs()
	if err != nil {
		return nil, err
	}
	const onProbed = `"berth/networks":"probed"`
	got, err := measure([]peer{
		newBerth(berthAlone, host, onLAN), newBerth(otherAlone, host, onLAN).from(bin),
		newBerth(berthProbing, host, onProbed), newBerth(otherProbing, host, onProbed).from(bin),
	}, b.rounds, b.step)
	if err != nil {
		return nil, err
	}
	return turnsSection(got, b.rounds), nil
}

// from returns the peer with the hook of another build.
func (p peer) from(bin string) peer {
	attach, detach := p.attach, p.detach
	other := func(c command) command {
		c.path = filepath.Join(bin, filepath.Base(c.path))
		return c
	}
	p.attach = func(id string, pid int) command { return other(attach(id, pid)) }
	p.detach = func(id string, pid int) command { return other(detach(id, pid)) }
	return p
}

func turnsSection(got samples, rounds int) *section {
	s := &section{
		how: fmt.Sprintf("Exec of this build's berth-hook and of the one given with -against, from fork to exit, by turns: "+
			"medians of %d rounds, and the ratio of the fastest tenths.", rounds),
		head: []string{"", "this build", "the other", "ratio", "fastest tenth"},
	}
	for _, row := range []struct {
		what        string
		this, other string
		measured    int
	}{
		{"attach", berthAlone, otherAlone, attach},
		{"attach, probing", berthProbing, otherProbing, attach},
		{"detach, namespace alive", berthAlone, otherAlone, detachAlive},
		{"detach, namespace dead", berthAlone, otherAlone, detachDead},
	} {
		this, other := got[row.this][row.measured], got[row.other][row.measured]
		s.addRow(row.what, ms(median(this)), ms(median(other)), fold(ratio(median(this), median(other))),
			fold(ratio(quantile(this, 0.1), quantile(other, 0.1))))
	}
	return s
}
