package keep

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/runtime-spec/specs-go"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.MainOr(m, keepAsProcess) }

// keepAsProcess runs a keeper of the STATE directory in args, which ends itself at a step.
func keepAsProcess(args []string) int {
	k := &Keeper{Store: state.Open(args[0]), BPFFS: "/sys/fs/bpf/none", Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	k.Step = func(name string) { _ = testnet.KillStep(name) }
	if err := k.Run(context.Background(), false); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// site is a host with a LAN behind its parent, on which a DHCP server can be.
type site struct {
	*testing.T
	dirs   config.Dirs
	store  *state.Store
	parent string
	lan    *testnet.NS
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, parent: testnet.Unique("p"), lan: testnet.Namespace(t)}
	s.dirs = config.Dirs{Config: t.TempDir(), State: "/run/" + testnet.Unique("keep"), BPFFS: "/sys/fs/bpf/none"}
	s.store = state.Open(s.dirs.State)
	testnet.Veth(t, s.parent, testnet.Here(t), "wire", s.lan)
	testnet.Address(t, s.lan, "wire", "192.0.2.1/24")
	s.writeNetwork("ipam = 'dhcp'")
	return s
}

// writeNetwork writes the network "lan" on the site's parent.
func (s *site) writeNetwork(keys string) {
	s.Helper()
	if err := os.MkdirAll(config.NetworksDir(s.dirs.Config), 0o755); err != nil {
		s.Fatal(err)
	}
	text := fmt.Sprintf("parent = %q\n%s\n", s.parent, keys)
	if err := os.WriteFile(config.NetworkFile(s.dirs.Config, "lan"), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// box is a container: a process in a namespace.
type box struct {
	id      string
	ns      *testnet.NS
	process *os.Process
}

// start starts a container on the network.
func (s *site) start(id string) *box {
	s.Helper()
	b := &box{id: id, ns: testnet.Namespace(s.T)}
	b.process = testnet.Process(s.T, b.ns)
	if err := s.hook(b, "creating"); err != nil {
		s.Fatalf("start %s: %v", id, err)
	}
	return b
}

func (s *site) stop(b *box) {
	s.Helper()
	if err := s.hook(b, "stopped"); err != nil {
		s.Fatalf("stop %s: %v", b.id, err)
	}
}

func (s *site) hook(b *box, status string) error {
	st := ocispecs.State{Version: "1.0.2", ID: b.id, Status: ocispecs.ContainerState(status), Bundle: "/",
		Annotations: map[string]string{"berth/networks": "lan"}}
	if status != "stopped" {
		st.Pid = b.process.Pid
	}
	text, _ := json.Marshal(st) // strings and numbers only
	h := &hook.Hook{Dirs: s.dirs, Store: s.store, Log: slog.New(slog.NewTextHandler(s.Output(), nil))}
	return h.Run(s.Context(), "", bytes.NewReader(text))
}

// keeper runs a keeper in this process until the test ends.
func (s *site) keeper() { s.keeperWith(nil) }

// keeperWith is keeper, with a function that is called after each step, or nil.
func (s *site) keeperWith(step func(name string)) {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	k := &Keeper{Store: s.store, BPFFS: s.dirs.BPFFS, Log: slog.New(slog.NewTextHandler(s.Output(), nil)), Step: step}
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx, false) }()
	s.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.Error(err)
		}
	})
}

// keeperProcess starts a keeper as a process of its own, which dies at a step if one is
// named.
func (s *site) keeperProcess(step string) *exec.Cmd {
	s.Helper()
	cmd := testnet.ProgramKilledAfter(step, s.dirs.State)
	cmd.Stderr = s.Output()
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd
}

// record returns the live record of a container, or nil.
func (s *site) record(id string) *state.Attachment {
	s.Helper()
	var found *state.Attachment
	err := s.store.View(s.Context(), func(tx *state.Tx) error {
		all, err := tx.OfContainer(id)
		if len(all) > 0 {
			found = all[0]
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return found
}

// addresses returns the IPv4 addresses of a container's interface.
func (s *site) addresses(b *box) string {
	s.Helper()
	return testnet.Run(s.T, b.ns, "ip", "-4", "-o", "addr", "show", "dev", "net1")
}

func (s *site) has(b *box, address string) bool {
	s.Helper()
	return strings.Contains(s.addresses(b), " "+address+" ")
}

// leaseOthers restarts a server without its memory, and it leases other addresses from then on, for a
// time.
func leaseOthers(server *testnet.DHCPServer, seconds int) {
	server.Stop()
	server.Forget()
	server.Serve(func(c *testnet.DHCPConfig) { c.First, c.Seconds = 200, seconds })
	server.Start()
}
