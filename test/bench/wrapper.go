package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// wrapperGoal is the time that berth-runtime may add to a call of a runtime.
const wrapperGoal = 5 * time.Millisecond

// wrappedCall is a call of a runtime.
type wrappedCall struct {
	what       string
	annotation string   // in the container's config.json
	flags      []string // of berth-runtime
	args       []string // of both
}

// wrapped are the measured calls of a runtime, each with and without berth-runtime
// before it.
var wrapped = []wrappedCall{
	{"features, which makes no container", "", nil, []string{"features"}},
	{"create, without an annotation of berth's", `"other/key": "x"`, nil, []string{"create", "x"}},
	{"create, with one: hooks added", onLAN, nil, []string{"create", "x"}},
	{"create, to be attached at start: noted", onLAN, []string{"--berth-attach", "start"}, []string{"create", "x"}},
	{"start of a container that was not noted", "", []string{"--berth-attach", "start"}, []string{"start", "other"}},
}

// benchWrapper measures the time that berth-runtime adds. The runtime behind it is a
// program that does nothing.
func benchWrapper(b *bench) (*section, error) {
	idle, err := exec.LookPath("true")
	if err != nil {
		return nil, err
	}
	bundle, err := os.MkdirTemp("", "bundle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(bundle)
	rounds := 5 * b.rounds
	s := &section{
		how: fmt.Sprintf("The time of a runtime that does nothing, called directly and by berth-runtime, with a "+
			"config.json of 20 kB: "+
			"medians of %d rounds.", rounds),
		head: []string{"", "direct", "by berth-runtime", "added", "fastest tenth"},
	}
	for i, c := range wrapped {
		direct, through, err := c.measureCalls(b, idle, bundle, rounds, i*(rounds+warmUp))
		if err != nil {
			return nil, err
		}
		added := median(through) - median(direct)
		s.judge("≤ "+ms(wrapperGoal), added <= wrapperGoal, c.what, ms(median(direct)), ms(median(through)), ms(added),
			ms(quantile(through, 0.1)-quantile(direct, 0.1)))
	}
	return s, nil
}

// measureCalls returns the times of a call of the runtime idle, directly and by berth-runtime. done
// is the number of rounds of the calls before it.
func (c *wrappedCall) measureCalls(b *bench, idle, bundle string, rounds,
	done int) (direct, through []time.Duration, err error) {
	before := append([]string{"--berth-runtime", idle, "--berth-state", filepath.Join(bundle, "state")}, c.flags...)
	for round := range rounds + warmUp {
		b.step(done+round, len(wrapped)*(rounds+warmUp))
		if round == warmUp {
			direct, through = nil, nil
		}
		if err := writeConfig(bundle, c.annotation); err != nil {
			return nil, nil, err
		}
		if err := timedIn(bundle, &direct, idle, c.args...); err != nil {
			return nil, nil, err
		}
		if err := timedIn(bundle, &through, filepath.Join(b.bin, "berth-runtime"), append(before, c.args...)...); err != nil {
			return nil, nil, err
		}
	}
	return direct, through, nil
}

// writeConfig writes a config.json with an annotation, of an engine's usual length.
func writeConfig(bundle, annotation string) error {
	rules := strings.Repeat(`{"names": ["accept", "accept4", "access"], "action": "SCMP_ACT_ALLOW"}, `, 280)
	text := fmt.Sprintf(`{"ociVersion": "1.0.2", "linux": {"seccomp": {"syscalls": [%s{}]}}, "annotations": {%s}}`,
		rules, annotation)
	return os.WriteFile(filepath.Join(bundle, "config.json"), []byte(text), 0o600)
}

// timedIn runs a program in a directory and adds its time.
func timedIn(dir string, into *[]time.Duration, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %q: %w", path, args, err)
	}
	*into = append(*into, time.Since(begin))
	return nil
}
