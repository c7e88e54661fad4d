package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"berth/engine/entry"
	"berth/internal/testnet"
)

// The cost of the hook, as causes that do not depend on the speed of a machine: the pages
// that a start and an attach touch for the first time, in the environment that engines give
// the hook, and the time of "berth-hook --version" as a multiple of an empty Go program's. The bounds of an
// attach and of the time are the goals. docs/performance-hook.md has the causes. The bound of a start's pages
// leaves room for other kernels and for threads that Go adds under load.
const (
	mostFaults      = 300
	mostStartFaults = 226
	mostStarts      = 1.4
)

// costRounds is the number of measurements; the fewest pages and the fastest tenth count. Of an attach a
// quarter of them is enough, unless threads that Go's runtime adds under load take it over the bound: then
// up to four times as many, with a new database for each quarter.
const costRounds = 40

// linkFlags are those of the Makefile and of scripts/release.sh.
const linkFlags = "-s -w -X runtime.godebugDefault=memprofilerate=0"

// buildPrograms builds berth-hook and an empty program.
func buildPrograms(t *testing.T) (hook, empty string) {
	t.Helper()
	dir := t.TempDir()
	hook, empty = filepath.Join(dir, "berth-hook"), filepath.Join(dir, "empty")
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for program, what := range map[string]string{hook: ".", empty: source} {
		flags := linkFlags
		if program == empty {
			flags = "-s -w"
		}
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "hook", "-ldflags", flags, "-o", program, what)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	return hook, empty
}

// pagesOf returns the pages that a finished process touched for the first time.
func pagesOf(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("no usage of the process")
	}
	return usage.Minflt
}

func TestPagesOfAStart(t *testing.T) {
	hook, empty := buildPrograms(t)
	fewest := [2]int64{1 << 20, 1 << 20}
	for range costRounds {
		for i, program := range []string{hook, empty} {
			cmd := exec.Command(program, "--version")
			cmd.Env = entry.Env()
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			fewest[i] = min(fewest[i], pagesOf(t, cmd))
		}
	}
	t.Logf("berth-hook --version touches %d pages, an empty program %d", fewest[0], fewest[1])
	if fewest[0] > mostStartFaults {
		t.Errorf("%d pages, want at most %d", fewest[0], mostStartFaults)
	}
}

// TestCostOfAStart is not parallel, because the time of a process is measured. Work beside it
// costs the larger program more, so a ratio over the bound is measured again.
func TestCostOfAStart(t *testing.T) {
	hook, empty := buildPrograms(t)
	least := math.Inf(1)
	for range 8 {
		ratio := timeRatio(t, hook, empty)
		t.Logf("berth-hook --version takes %.2f times as long as an empty program", ratio)
		if least = min(least, ratio); least <= mostStarts {
			return
		}
	}
	t.Errorf("%.2f times, want at most %.1f", least, mostStarts)
}

// timeRatio runs two programs in turn and returns the ratio of their times.
func timeRatio(t *testing.T, program, peer string) float64 {
	t.Helper()
	var took [2][]time.Duration
	for round := range costRounds {
		for i := range took {
			k := (i + round) % 2
			begin := time.Now()
			if err := exec.Command([]string{program, peer}[k], "--version").Run(); err != nil {
				t.Fatal(err)
			}
			took[k] = append(took[k], time.Since(begin))
		}
	}
	fastest := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)/10]
	}
	return float64(fastest(took[0])) / float64(fastest(took[1]))
}

func TestPagesOfAnAttach(t *testing.T) {
	hook, _ := buildPrograms(t)
	dir, parent, state := t.TempDir(), testnet.Unique("p"), ""
	testnet.Veth(t, parent, testnet.Here(t), "wire", testnet.Namespace(t))
	writeNetwork(t, dir, fmt.Sprintf("parent = %q\nconflict_timeout = \"0s\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\n", parent))
	fewest := int64(1 << 20)
	for round := 0; round < 4*costRounds && (round < costRounds/4 || fewest > mostFaults); round++ {
		if round%(costRounds/4) == 0 { // a database with more attachments has more pages
			state = "/run/" + testnet.Unique("berth")
		}
		cmd := hookIn(t, hook, dir, state, fmt.Sprintf("c%d", round), testnet.Namespace(t))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("attach: %v\n%s", err, out)
		}
		fewest = min(fewest, pagesOf(t, cmd))
	}
	t.Logf("an attach touches %d pages", fewest)
	if fewest > mostFaults {
		t.Errorf("%d pages, want at most %d", fewest, mostFaults)
	}
}
