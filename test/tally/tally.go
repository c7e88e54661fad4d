package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"berth/test/results"
)

// progressEvery is the interval at which the running tests are printed.
const progressEvery = 20 * time.Second

// An event is a line of go test -json: see go doc test2json, and go help buildjson for
// the actions of a build.
type event struct {
	Time                time.Time
	Action              string
	Package, ImportPath string
	Test                string
	Output              string
	Elapsed             float64 // seconds
	FailedBuild         string
}

// A tally processes the events of one go test.
type tally struct {
	out      io.Writer
	where    string
	start    time.Time
	packages map[string]*pkg
	builds   map[string][]string // output of the compiler by import path
	ended    []*pkg
	tests    int // that have ended, without subtests
	results  []results.Result
	unbuilt  []string   // packages that did not compile
	broken   []string   // packages that ended before their tests, or failed without one
	again    [][]string // arguments of the second runs
}

// A pkg is a package under test.
type pkg struct {
	path    string
	seconds float64
	tests   int
	skipped int
	output  []string // outside of tests
	running map[string]*test
}

// A test is a test or subtest that has not ended.
type test struct {
	since  time.Time
	output []string
	last   string // last line of output; in a skipped test, the reason
	paused bool
}

func newTally(out io.Writer, where string) *tally {
	return &tally{out: out, where: where, start: time.Now(), packages: map[string]*pkg{}, builds: map[string][]string{}}
}

// follow reads the events until the end.
func (t *tally) follow(in io.Reader, tick <-chan time.Time) error {
	lines := make(chan string)
	read := make(chan error, 1)
	go func() {
		r := bufio.NewReader(in)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				close(lines)
				if err == io.EOF {
					err = nil
				}
				read <- err
				return
			}
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return <-read
			}
			t.addLine(line)
		case <-tick:
			t.progress()
		}
	}
}

// addLine processes a line. A line that is not an event is printed unchanged.
func (t *tally) addLine(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		fmt.Fprint(t.out, line)
		return
	}
	switch {
	case e.Action == "build-output":
		t.builds[e.ImportPath] = append(t.builds[e.ImportPath], e.Output)
	case e.Package == "":
	case e.Test == "":
		t.takePackage(t.pkg(e.Package), &e)
	default:
		t.takeTest(t.pkg(e.Package), &e)
	}
}

func (t *tally) pkg(path string) *pkg {
	p := t.packages[path]
	if p == nil {
		p = &pkg{path: path, running: map[string]*test{}}
		t.packages[path] = p
	}
	return p
}

func (t *tally) takePackage(p *pkg, e *event) {
	switch e.Action {
	case "output":
		p.output = append(p.output, e.Output)
	case "pass", "fail", "skip":
		p.seconds = e.Elapsed
		if e.Action == "fail" {
			t.failedPackage(p, e)
		}
		t.ended = append(t.ended, p)
		delete(t.packages, p.path)
		if e.Action != "skip" { // a skipped package has no tests
			t.printPackage(p, e.Action)
		}
	}
}

func (t *tally) printPackage(p *pkg, action string) {
	word := map[string]string{"pass": "ok  ", "fail": "FAIL"}[action]
	skipped := ""
	if p.skipped > 0 {
		skipped = fmt.Sprintf(", %d skipped", p.skipped)
	}
	fmt.Fprintf(t.out, "%s %s  %.1f s, %d tests%s\n", word, p.path, p.seconds, p.tests, skipped)
}

// failedPackage prints the output that belongs to no failed test: of the compiler, a
// panic, a timeout.
func (t *tally) failedPackage(p *pkg, e *event) {
	build := t.builds[e.FailedBuild]
	switch allEnded := slices.Contains(p.output, "FAIL\n"); { // testing.M.Run prints it
	case len(build) > 0:
		t.unbuilt = append(t.unbuilt, p.path)
	case allEnded && t.failedIn(p.path):
		return
	default:
		t.broken = append(t.broken, p.path)
	}
	fmt.Fprintf(t.out, "--- %s\n%s%s", p.path, strings.Join(build, ""), strings.Join(p.output, ""))
	for name, test := range p.running {
		fmt.Fprintf(t.out, "--- %s did not end: %s\n%s", name, p.path, strings.Join(test.output, ""))
		output := append([]string{"did not end: " + name + "\n"}, test.output...)
		t.addResult(p, results.Result{Test: name, Outcome: results.Fail, Output: lastLines(output)})
	}
}

func (t *tally) failedIn(path string) bool {
	for _, r := range t.results {
		if r.Package == path && r.Outcome == results.Fail {
			return true
		}
	}
	return false
}

func (t *tally) takeTest(p *pkg, e *event) {
	run := p.running[e.Test]
	if run == nil {
		run = &test{since: e.Time}
		p.running[e.Test] = run
	}
	switch e.Action {
	case "pause":
		run.paused = true
	case "cont":
		run.paused, run.since = false, e.Time
	case "output":
		run.addOutput(e.Output)
	case "pass", "fail", "skip":
		delete(p.running, e.Test)
		t.end(p, e, run)
	}
}

// addOutput stores a line of output. The testing package's own lines about a test begin
// with "=== " and "--- ".
func (r *test) addOutput(line string) {
	if text := strings.TrimSpace(line); strings.HasPrefix(text, "=== ") {
		return
	} else if text != "" && !strings.HasPrefix(text, "--- ") {
		r.last = text
	}
	r.output = append(r.output, line)
}

func (t *tally) end(p *pkg, e *event, run *test) {
	parent, _, sub := strings.Cut(e.Test, "/")
	r := results.Result{Test: e.Test, Outcome: e.Action}
	switch {
	case e.Action == results.Skip:
		p.skipped++
		_, r.Reason, _ = strings.Cut(run.last, ": ") // after the line's place in its file
	case e.Action == results.Fail && !sub:
		r.Output = lastLines(run.output)
	}
	t.addResult(p, r)
	if sub {
		if top := p.running[parent]; top != nil && e.Action == "fail" {
			top.output = append(top.output, run.output...) // printed with the whole test
		}
		return
	}
	p.tests++
	t.tests++
	if e.Action == results.Fail {
		fmt.Fprintf(t.out, "--- FAIL: %s of %s\n%s", e.Test, p.path, strings.Join(run.output, ""))
	}
}

func (t *tally) addResult(p *pkg, r results.Result) {
	r.Package, r.Where = p.path, t.where
	t.results = append(t.results, r)
}

// lastLines returns the end of a failed test's output, whose lines end with a newline.
func lastLines(output []string) string {
	return results.LastLines(strings.Split(strings.TrimRight(strings.Join(output, ""), "\n"), "\n"))
}
