package top

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/agent/api"
	"berth/agent/client"
	"berth/agent/events"
	"berth/specs"
)

// fakeAgent is an agent behind the real socket whose containers' counts grow with time.
type fakeAgent struct {
	dir     string
	started time.Time
	ring    *events.Ring
	server  *api.Server
	ended   chan error
}

func (f *fakeAgent) Status(context.Context) (specs.AgentStatus, error) { return agentStatus(), nil }

func (f *fakeAgent) RecentStatus(ctx context.Context) (specs.AgentStatus, error) {
	return f.Status(ctx)
}

func (f *fakeAgent) Endpoints(_ context.Context, _ bool, each func(*specs.Endpoint) error) error {
	all := sampleContainers(0)
	all[1].Counters.Transmit.Local.Unicast = specs.Count{Bytes: uint64(time.Since(f.started).Microseconds())} // 1 MB/s
	all[2].Name = hostile
	for i := range all {
		all[i].Created = f.started.Add(-time.Hour)
		if err := each(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeAgent) Ready() error                       { return nil }
func (f *fakeAgent) Detach(context.Context, bool) error { return nil }

// Changes has all endpoints each time.
func (f *fakeAgent) Changes(ctx context.Context, _ string, each func(*specs.Changes) error) error {
	part, n := specs.Changes{Whole: true, Version: "a-1"}, uint64(0)
	err := f.Endpoints(ctx, true, func(e *specs.Endpoint) error {
		n++
		part.Endpoints = append(part.Endpoints, specs.ChangedEndpoint{ID: n, Endpoint: *e})
		return nil
	})
	return errors.Join(err, each(&part))
}

func (*fakeAgent) Networks(context.Context) ([]specs.NetworkStatus, error) { return nil, nil }

func (*fakeAgent) Cluster(context.Context) (specs.ClusterStatus, error) {
	return specs.ClusterStatus{}, nil
}

func (*fakeAgent) Forget(context.Context, string) ([]string, error) { return nil, nil }

func (f *fakeAgent) Attach(context.Context) error { return nil }

func (f *fakeAgent) startServing(t *testing.T) {
	t.Helper()
	socket, err := api.Listen(filepath.Join(f.dir, client.SocketName), "")
	if err != nil {
		t.Fatal(err)
	}
	f.ring = events.NewRing(100)
	f.server = api.New(f, f.ring, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	f.ended = make(chan error, 1)
	go func(s *api.Server) { f.ended <- s.Serve(socket) }(f.server)
}

func (f *fakeAgent) stopServing(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := errors.Join(f.server.Close(ctx), <-f.ended); err != nil {
		t.Error(err)
	}
}

// addViolation makes web violate a rule now.
func (f *fakeAgent) addViolation() {
	e := spoofEvent(0, webParty())
	e.Time = time.Now()
	f.ring.Add(e)
}

// shortDir returns a directory whose path leaves room for the name of a socket
// (unix(7): 108 bytes).
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "top")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newFakeAgent(t *testing.T) *fakeAgent {
	t.Helper()
	f := &fakeAgent{dir: shortDir(t), started: time.Now()}
	f.startServing(t)
	t.Cleanup(func() { f.stopServing(t) })
	return f
}

// pane is a terminal of a tmux server for the test.
type pane struct {
	t      *testing.T
	socket string
}

// openPane starts a command in a terminal of 80×24, and ends its server with the
// test.
func openPane(t *testing.T, command string) *pane {
	t.Helper()
	p := &pane{t: t, socket: filepath.Join(shortDir(t), "s")}
	p.runTmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command+"; echo left with $?; read _")
	t.Cleanup(func() { p.runTmux("kill-server") })
	return p
}

func (p *pane) runTmux(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-u", "-S", p.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=xterm-256color", "TMUX=")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("tmux %s: %v: %s (scripts/deps.sh test installs it)", strings.Join(args, " "), err, complaint.String())
	}
	return string(out)
}

func (p *pane) sendKeys(names ...string) {
	p.t.Helper()
	p.runTmux(append([]string{"send-keys"}, names...)...)
}

// waitPicture waits for a picture and returns it.
func (p *pane) waitPicture(what string, holds func(picture string) bool) string {
	p.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		picture := p.runTmux("capture-pane", "-p")
		if holds(picture) {
			return picture
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("%s: not within a minute; the terminal shows\n%s", what, picture)
		}
	}
}

func (p *pane) waitTexts(texts ...string) string {
	p.t.Helper()
	return p.waitPicture(fmt.Sprintf("it shows %q", texts), func(picture string) bool {
		for _, text := range texts {
			if !strings.Contains(picture, text) {
				return false
			}
		}
		return true
	})
}

func (p *pane) waitWithout(text string) {
	p.t.Helper()
	p.waitPicture(fmt.Sprintf("it does not show %q", text), func(picture string) bool { return !strings.Contains(picture, text) })
}

// buildBerth builds the command line.
func buildBerth(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "berth")
	if out, err := exec.Command("go", "build", "-o", bin, "berth/cmd/berth").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return bin
}

// TestInATerminal runs the real command in a real terminal, with an agent that goes away
// and comes back.
func TestInATerminal(t *testing.T) {
	bin := buildBerth(t)
	t.Run("colour", func(t *testing.T) { t.Parallel(); inColour(t, bin) })
	t.Run("no colour", func(t *testing.T) { t.Parallel(); withoutColour(t, bin) })
	t.Run("dumb", func(t *testing.T) { t.Parallel(); onADumbTerminal(t, bin) })
	t.Run("ended from outside", func(t *testing.T) { t.Parallel(); endedFromOutside(t, bin) })
}

func inColour(t *testing.T, bin string) {
	f := newFakeAgent(t)
	p := openPane(t, bin+" top --interval 100ms --state "+f.dir)
	p.waitTexts("berth top  4 interfaces", "eth1.100", "web", "1.0", "MB", "VIOLATIONS: none seen", "q quit")
	if title := p.runTmux("display-message", "-p", "#{pane_title}"); strings.Contains(title, "owned") {
		t.Errorf("a container's name changed the terminal's title to %q", title)
	}
	if !colours.MatchString(p.runTmux("capture-pane", "-p", "-e")) {
		t.Error("there are no colours")
	}
	f.addViolation()
	p.waitTexts("mac-spoof by web: 02:00:5e:00:53:99")
	p.sendKeys("/", "d", "b", "Enter")
	p.waitWithout(" web ")
	p.sendKeys("Enter")
	p.waitTexts("192.0.2.66/24", "local unicast")
	p.sendKeys("Escape") // by itself: with more keys at once it would be another key
	p.waitWithout("192.0.2.66/24")
	p.sendKeys("?")
	p.waitTexts("reverse the order")
	p.sendKeys("q")
	p.waitTexts("left with 0")
	if got := p.runTmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"); got != "0 1\n" {
		t.Errorf("the terminal is left on the other screen, or without a cursor: %q", got)
	}
}

// colours are sequences that set another colour than the terminal's own.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*([34][0-8]|[19][0-7])m")

func withoutColour(t *testing.T, bin string) {
	f := newFakeAgent(t)
	p := openPane(t, "NO_COLOR=1 "+bin+" top --interval 100ms --state "+f.dir)
	p.waitTexts("web", "HISTORY")
	if picture := p.runTmux("capture-pane", "-p", "-e"); colours.MatchString(picture) {
		t.Errorf("there are colours: %q", picture)
	}
	p.runTmux("resize-window", "-x", "40", "-y", "10")
	p.waitPicture("it fits 40×10", func(picture string) bool {
		return strings.Contains(picture, "web") && strings.Contains(picture, "? help") && !strings.Contains(picture, "HISTORY")
	})
	p.runTmux("resize-window", "-x", "120", "-y", "40")
	p.waitTexts("ADDRESS", "192.0.2.65")
	f.stopServing(t)
	p.waitTexts("agent gone", "systemctl start berthd", "web")
	f.startServing(t)
	p.waitWithout("agent gone")
	p.waitTexts("1.0", "MB")
	f.addViolation()
	p.waitTexts("mac-spoof by web")
	p.sendKeys("C-c")
	p.waitTexts("left with 0")
}

func onADumbTerminal(t *testing.T, bin string) {
	f := newFakeAgent(t)
	p := openPane(t, "TERM=dumb LC_ALL=C "+bin+" top --interval 100ms --state "+f.dir)
	picture := p.waitTexts("berth top  4 interfaces", "web", "q quit")
	if lines := strings.Split(strings.TrimRight(picture, "\n"), "\n"); len(lines) != 24 || !strings.HasPrefix(lines[0], "berth top") {
		t.Errorf("a page is not where the terminal shows it whole:\n%s", picture)
	}
	if strings.Contains(p.runTmux("capture-pane", "-p", "-e"), "\x1b") {
		t.Error("there are styles")
	}
	p.sendKeys("/", "d", "b", "Enter")
	p.waitWithout(" web ")
	p.runTmux("resize-window", "-x", "60", "-y", "20")
	p.waitPicture("it fits 60×20", func(picture string) bool {
		lines := strings.Split(strings.TrimRight(picture, "\n"), "\n")
		return len(lines) == 20 && strings.HasPrefix(lines[0], "berth top")
	})
	p.sendKeys("q")
	p.waitTexts("left with 0")
}

// processOf waits until the view shows a container, and returns the process that wrote its number to a
// file of the directory.
func (p *pane) processOf(dir string) int {
	p.t.Helper()
	p.waitTexts("web")
	text, err := os.ReadFile(dir + "/pid")
	if err != nil {
		p.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// endedFromOutside: a SIGTERM or SIGHUP leaves the terminal as it was.
func endedFromOutside(t *testing.T, bin string) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		f := newFakeAgent(t)
		p := openPane(t, "sh -c 'echo $$ >"+f.dir+"/pid; exec "+bin+" top --interval 100ms --state "+f.dir+"'")
		if err := syscall.Kill(p.processOf(f.dir), signal); err != nil {
			t.Fatal(err)
		}
		p.waitTexts("left with 0")
		if got := p.runTmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"); got != "0 1\n" {
			t.Errorf("%v: the terminal is left on the other screen, or without a cursor: %q", signal, got)
		}
	}
}
