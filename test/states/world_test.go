package states

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"berth/internal/config"
	"berth/internal/state"
	"berth/internal/testnet"
)

// world is a host with a parent on a LAN, berth's directories, and the model.
type world struct {
	*testing.T
	rand      *rand.Rand
	host, lan *testnet.NS
	away      *testnet.NS // the other namespace of a moved parent
	sink      *net.UDPConn
	dirs      config.Dirs
	store     *state.Store

	boxes   map[string]*box
	agent   *agent
	watched bool // an agent has been ready since the parent appeared, so all frames are counted
	serial  int

	mu  sync.Mutex
	log []string // the actions, printed after a failure
}

const (
	parent  = "eth1"
	lanAddr = "192.0.2.62"
	lanPort = 9000
)

// stickyNetwork is the network on which a container keeps its address over a restart.
const stickyNetwork = "lab"

// networkFiles are two networks of one parent whose pools overlap. They have six addresses
// together, so the pools run out.
var networkFiles = map[string]string{
	"lan": "parent = 'eth1'\nconflict_timeout = '10ms'\n[[subnet]]\nsubnet = '192.0.2.0/26'\nip_range = '192.0.2.8/29'\n",
	"lab": "parent = 'eth1'\nconflict_timeout = '0s'\nsticky = true\n[[subnet]]\nsubnet = '192.0.2.0/26'\nip_range = '192.0.2.8/29'\n",
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "states")
	must(t, err)
	w := &world{
		T: t, rand: rand.New(rand.NewPCG(seed, seed)), boxes: map[string]*box{},
		host: testnet.Namespace(t), lan: testnet.Namespace(t), away: testnet.Namespace(t),
		dirs: config.Dirs{Config: dir + "/etc", State: dir + "/run", BPFFS: "/sys/fs/bpf/" + filepath.Base(dir)},
	}
	w.store = state.Open(w.dirs.State)
	t.Cleanup(func() { must(t, os.RemoveAll(w.dirs.BPFFS)) })
	must(t, os.MkdirAll(w.dirs.Config+"/networks.d", 0o755))
	for name := range networkFiles {
		w.writeNetwork(name, "")
	}
	w.wire()
	testnet.In(t, w.lan, func() { w.sink, err = net.ListenUDP("udp4", &net.UDPAddr{Port: lanPort}) })
	must(t, err)
	t.Cleanup(func() { w.sink.Close() })
	return w
}

// wire makes the parent and the LAN behind it.
func (w *world) wire() {
	testnet.Veth(w.T, parent, w.host, "wire", w.lan)
	testnet.Address(w.T, w.lan, "wire", lanAddr+"/26")
}

// box is a container, and the model's state of it.
type box struct {
	id      string
	ns      *testnet.NS
	process *os.Process
	byDoor  bool            // its engine attaches it, see theDoor
	dead    bool            // its process has ended; the namespace may exist a moment longer
	on      map[string]bool // networks it must be on
	maybe   map[string]bool // networks it may be on: an action was killed
	sharers []string        // ids of further containers in its namespace
}

// set records whether a container is certainly on a network from now on.
func (b *box) set(name string, on bool) {
	delete(b.maybe, name)
	delete(b.on, name)
	if on {
		b.on[name] = true
	}
}

// mayBe records that an action on the networks was killed.
func (b *box) mayBe(names ...string) {
	for _, name := range names {
		delete(b.on, name)
		b.maybe[name] = true
	}
}

// newBox starts the process of a container, in a namespace of its own.
func (w *world) newBox(id string) *box {
	b := &box{id: id, ns: testnet.Namespace(w.T), on: map[string]bool{}, maybe: map[string]bool{}}
	b.process = testnet.Process(w.T, b.ns)
	w.boxes[id] = b
	return b
}

// end kills the process of a container; its namespace dies with it.
func (b *box) end() {
	if !b.dead {
		_ = b.process.Kill() // testnet waits for it at the end
		_, _ = b.process.Wait()
		_ = b.ns.Close()
		b.dead = true
	}
}

func (b *box) state(id, status, networks string) []byte {
	st := rspec.State{Version: "1.0.2", ID: id, Status: rspec.ContainerState(status), Bundle: "/", Annotations: map[string]string{}}
	if networks != "" {
		st.Annotations["berth/networks"] = networks
	}
	if status != "stopped" {
		st.Pid = b.process.Pid
	}
	text, _ := json.Marshal(st) // strings and numbers only
	return text
}

// note adds a line to the log of actions.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// outcome is the result of a program.
type outcome struct {
	killed bool
	err    error
	text   string
}

func (o outcome) String() string {
	switch {
	case o.killed:
		return "killed"
	case o.err != nil:
		return fmt.Sprintf("%v: %s", o.err, strings.TrimSpace(o.text))
	}
	return "ok"
}

// program returns a command of one of berth's programs on the host, not started yet.
func (w *world) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{w.dirs.Config, w.dirs.State, w.dirs.BPFFS}, args...)...)
	cmd.Env = append(os.Environ(), programVar+"="+name)
	return cmd
}

// execute runs a program to its end, or kills it after a time; 0 does not kill.
func (w *world) execute(killAfter time.Duration, stdin []byte, name string, args ...string) outcome {
	cmd := w.program(name, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &out
	var err error
	testnet.In(w.T, w.host, func() { err = cmd.Start() })
	must(w.T, err)
	o := outcome{}
	if killAfter > 0 {
		kill := time.AfterFunc(killAfter, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	}
	o.err = cmd.Wait()
	o.killed, o.text = cmd.ProcessState.ExitCode() == -1, out.String()
	return o
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
