// Package doortest gives the tests of the packages in engine/ a host of their own: a parent
// that is wired to another machine of the LAN, berth's files, and a look into its records.
//
// [New] returns the [Host].
//
// It is for tests only. It attaches nothing itself. It imports hook for the time of a run,
// internal/config, internal/lease, internal/release, internal/state, internal/testnet and network.
package doortest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// LAN is the file of a network on the host's parent.
const LAN = `parent = "PARENT"
[[subnet]]
subnet = "192.0.2.0/24"
gateway = "192.0.2.1"
`

// Host is the namespace of the tests, with a parent and directories of this test alone.
type Host struct {
	*testing.T
	Dirs   config.Dirs
	Store  *state.Store
	Parent string
	Wire   *testnet.NS // the other machine of the LAN, with the interface "wire"
}

// New returns a host with the network file lan.toml, whose text is given. No agent runs there.
func New(t *testing.T, lan string) *Host {
	t.Helper()
	h := &Host{T: t, Parent: testnet.Unique("p"), Wire: testnet.Namespace(t), Dirs: config.Dirs{
		Config: t.TempDir() + "/etc", State: "/run/" + testnet.Unique("berth"),
		BPFFS: "/sys/fs/bpf/" + testnet.Unique("none"),
	}}
	h.Store = state.Open(h.Dirs.State)
	t.Cleanup(func() { _ = os.RemoveAll(h.Dirs.State) })
	testnet.Veth(t, h.Parent, testnet.Here(t), "wire", h.Wire)
	h.Write("networks.d/lan.toml", lan)
	return h
}

// Program returns the command of the package's program ([testnet.MainOr]), which ends itself after
// a step. Its arguments are the host's directories, which DirsOf reads, and args.
func (h *Host) Program(step string, args ...string) *exec.Cmd {
	return testnet.ProgramKilledAfter(step, append([]string{h.Dirs.Config, h.Dirs.State, h.Dirs.BPFFS}, args...)...)
}

// DirsOf returns the directories at the start of a program's arguments.
func DirsOf(args []string) config.Dirs {
	return config.Dirs{Config: args[0], State: args[1], BPFFS: args[2]}
}

// Write writes a file of the configuration, as Fill returns it.
func (h *Host) Write(name, text string) {
	h.Helper()
	path := filepath.Join(h.Dirs.Config, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(h.Fill(text)), 0o644); err != nil {
		h.Fatal(err)
	}
}

// Fill replaces PARENT in a text by the host's parent.
func (h *Host) Fill(text string) string { return strings.ReplaceAll(text, "PARENT", h.Parent) }

// Records returns all live attachments and leases, a line each.
func (h *Host) Records() string {
	h.Helper()
	var s strings.Builder
	err := h.Store.View(h.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "attachment %s of %v, %s\n", a.Interface, a.Containers, a.Phase)
		}
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "lease %s%s of %s\n", l.Addr, l.MAC, l.Container)
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return s.String()
}

// Attachments returns the live attachments of a container.
func (h *Host) Attachments(id string) (all []*state.Attachment) {
	h.Helper()
	err := h.Store.View(h.Context(), func(tx *state.Tx) (err error) {
		all, err = tx.OfContainer(id)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

// FirstOf returns the first attachment of a container, which must have one.
func (h *Host) FirstOf(id string) *state.Attachment {
	h.Helper()
	all := h.Attachments(id)
	if len(all) == 0 {
		h.Fatalf("container %q has no attachment", id)
	}
	return all[0]
}

// RequireNothing fails the test if there are records or, in one of the namespaces, interfaces.
func (h *Host) RequireNothing(in ...*testnet.NS) {
	h.Helper()
	if got := h.Records(); got != "" {
		h.Errorf("left behind:\n%s", got)
	}
	for _, ns := range in {
		if got := testnet.Run(h.T, ns, "ip", "-o", "link", "show", "type", "macvlan"); got != "" {
			h.Errorf("left behind: %s", got)
		}
	}
}
