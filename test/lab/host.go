package lab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Host is a machine with berth on it, in directories of its own.
type Host struct {
	*Machine
	Bin    string // absolute path of the programs
	Dir    string // directory of this host only
	Config string // berth's three directories
	State  string
	BPFFS  string

	HookProgram string // of the hooks' entries, in Bin; "" for berth-hook
}

// NewHost makes a machine with berth on it.
func NewHost(name, bin string) (*Host, error) {
	m, err := NewMachine(name)
	if err != nil {
		return nil, err
	}
	h := &Host{
		Machine: m, Bin: bin,
		Dir:   filepath.Join(Dir, name),
		BPFFS: filepath.Join("/sys/fs/bpf", name),
	}
	h.Config, h.State = filepath.Join(h.Dir, "etc"), filepath.Join(h.Dir, "run")
	return h, os.MkdirAll(filepath.Join(h.Config, "networks.d"), 0o755)
}

// flags returns the flags for berth's directories, which every program of berth accepts.
// Directories at their default paths need none.
// Flags returns the flags with which programs of berth find the directories of the host.
func (h *Host) Flags() []string { return h.flags() }

func (h *Host) flags() []string {
	var flags []string
	for _, dir := range []struct{ flag, value, standard string }{
		{"--config", h.Config, "/etc/berth"},
		{"--state", h.State, "/run/berth"},
		{"--bpffs", h.BPFFS, "/sys/fs/bpf/berth"},
	} {
		if dir.value != dir.standard {
			flags = append(flags, dir.flag, dir.value)
		}
	}
	return flags
}

// Berth runs the command line.
func (h *Host) Berth(args ...string) (string, error) {
	return h.Run(filepath.Join(h.Bin, "berth"), append(h.flags(), args...)...)
}

// BerthJSON runs a command with --json and decodes its output.
func (h *Host) BerthJSON(into any, args ...string) error {
	out, err := h.Berth(append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("berth %q: %w in: %s", args, err, out)
	}
	return nil
}

// Policy writes berth.toml.
func (h *Host) Policy(text string) error {
	return os.WriteFile(filepath.Join(h.Config, "berth.toml"), []byte(text), 0o644)
}

// Network writes a network's file.
func (h *Host) Network(name, text string) error {
	return os.WriteFile(filepath.Join(h.Config, "networks.d", name+".toml"), []byte(text), 0o644)
}

// Hook returns the entry of one stage in a config.json, or with "" an entry that takes the
// stage from the state. It has its own path, arguments and environment, so that it does
// not depend on the runtime's.
func (h *Host) Hook(stage string) specs.Hook {
	timeout := 30 // seconds; the hook's own is 20
	args := append([]string{"berth-hook"}, h.flags()...)
	if stage != "" {
		args = append(args, stage)
	}
	return specs.Hook{
		Path:    filepath.Join(h.Bin, cmp.Or(h.HookProgram, "berth-hook")),
		Args:    args,
		Env:     []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1"},
		Timeout: &timeout,
	}
}

// ClientHook is Hook by the client of the resident berth-hook.
func (h *Host) ClientHook(stage string) specs.Hook {
	other := *h
	other.HookProgram = HookClient
	return other.Hook(stage)
}

// HookClient is the client of the resident berth-hook.
const HookClient = "berth-hook-client"

// Hooks returns the entries of both stages.
func (h *Host) Hooks() *specs.Hooks {
	return &specs.Hooks{
		CreateRuntime: []specs.Hook{h.Hook("createRuntime")},
		Poststop:      []specs.Hook{h.Hook("poststop")},
	}
}
