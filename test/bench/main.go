package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"berth/test/lab"
)

// A bench is the input of a part.
type bench struct {
	bin     string // directory of berth's programs
	rounds  int    // number of measured starts of a program
	against *build // another build, or nil
	step    func(done, of int)
}

// A part measures one property. It may move its goroutine to another machine.
type part struct {
	name  string
	title string
	run   func(*bench) (*section, error)
}

var parts = []part{
	{"attach", "Attach and detach", benchAttach},
	{"probe", "Containers in a row, with the probe", benchProbe},
	{"first", "The first start of an idle host", benchFirst},
	{"engines", "A start by an engine", benchEngines},
	{"pods", "A start of a pod", benchPods},
	{"driver", "The calls of docker's driver", benchDriver},
	{"crowd", "A hundred containers at once", benchCrowd},
	{"killed", "A plugin killed on its way", benchKilled},
	{"wrapper", "berth-runtime before a runtime", benchWrapper},
	{"conflict", "An address that another host has", benchConflict},
	{"paths", "Between two containers, and to the wire", benchPaths},
	{"frame", "What a frame costs", benchFrame},
	{"agent", "The agent with 10,000 endpoints", benchAgent},
	{"observed", "2,000 interfaces that berth did not create", benchObserved},
	{"alarms", "Violations: false alarms, and the delay of their reports", benchAlarms},
}

func names() (all []string) {
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

func main() {
	rounds := flag.Int("rounds", 40, "how often each exec is measured; everything else is scaled with it")
	only := flag.String("part", strings.Join(names(), ","), "the parts to run, with commas between")
	page := flag.String("write", "", "write the results to this page too, in place of its older ones")
	source := flag.String("against", "", "`directory` of another source tree of berth, which takes turns with this "+
		"one; for the parts frame and probe")
	bin := flag.String("bin", "", "`directory` of berth's programs (default: they are built)")
	lab.Isolate()
	flag.Parse()
	if err := runParts(*rounds, *only, *page, *bin, *source); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func runParts(rounds int, only, page, bin, source string) error {
	wanted := strings.Split(only, ",")
	if err := checkFlags(wanted, rounds, page, source); err != nil {
		return err
	}
	against, err := otherBuild(source)
	if err != nil {
		return err
	}
	begin := newContext(rounds)
	if bin == "" {
		if bin, err = ours().programs(); err != nil {
			return err
		}
	}
	fmt.Printf("%s\n", strings.Join(begin.lines(), "\n"))
	var done []*section
	var errs []error
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		s, err := measured(p, &bench{bin: bin, rounds: rounds, against: against})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
			continue
		}
		done = append(done, s)
		s.print(os.Stdout)
	}
	if err := errors.Join(errs...); err != nil || page == "" {
		return err
	}
	begin.end()
	for _, s := range done {
		s.on = begin.lines()
	}
	return writePage(page, done)
}

// checkFlags checks the flags, alone and together.
func checkFlags(wanted []string, rounds int, page, source string) error {
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-part %q: want some of %s", name, strings.Join(names(), ","))
		}
	}
	if rounds < 1 {
		return fmt.Errorf("-rounds %d: want at least 1", rounds)
	}
	only := strings.Join(wanted, ",")
	if source != "" && (only != "frame" && only != "probe" || page != "") {
		return errors.New("-against takes -part frame or -part probe, and no -write")
	}
	return nil
}

// writePage writes the results to a page, in place of its older ones.
func writePage(page string, done []*section) error {
	old, err := os.ReadFile(page)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the page: %w", err)
	}
	return os.WriteFile(page, []byte(updatePage(string(old), done)), 0o644)
}

// measured runs a part in a goroutine of its own. The thread that the part leaves on
// another machine ends with that goroutine.
func measured(p part, b *bench) (s *section, err error) {
	begin, shown := time.Now(), ""
	terminal := isTerminal(os.Stderr)
	b.step = func(done, of int) {
		text := fmt.Sprintf("%s: %d %%", p.title, 100*done/of)
		if text == shown || !terminal {
			return
		}
		shown = text
		fmt.Fprintf(os.Stderr, "\r%s\x1b[K", text)
	}
	if !terminal {
		fmt.Fprintf(os.Stderr, "%s …\n", p.title)
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		runtime.LockOSThread()
		s, err = p.run(b)
	}()
	<-finished
	if terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	if err != nil {
		return nil, err
	}
	s.title, s.took = p.title, time.Since(begin)
	return s, nil
}

// isTerminal reports whether a file is a terminal, and not the serial line of test/vm.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != ""
}
