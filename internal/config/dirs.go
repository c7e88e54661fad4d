package config

import (
	"flag"
	"path/filepath"
)

// Default directories, which flags override.
const (
	DefaultConfig = "/etc/berth"
	DefaultState  = "/run/berth"
	DefaultBPFFS  = "/sys/fs/bpf/berth"
)

// Dirs are berth's three directories. Every program of berth takes them as flags,
// and none from the environment.
type Dirs struct {
	Config string // berth.toml and networks.d
	State  string // the agent's socket, and the database of the attachments
	BPFFS  string // pinned programs and maps
}

// Flags adds --config, --state and --bpffs to a flag set and sets d to their
// defaults.
func (d *Dirs) Flags(fs *flag.FlagSet) {
	fs.StringVar(&d.Config, "config", DefaultConfig, "`DIR` of berth.toml and networks.d")
	fs.StringVar(&d.State, "state", DefaultState, "`DIR` of the attachment records and the agent's socket")
	fs.StringVar(&d.BPFFS, "bpffs", DefaultBPFFS, "`DIR` of pinned BPF objects, on a BPF file system")
}

// NetworksDir returns the directory of the network files of a configuration.
func NetworksDir(dir string) string { return filepath.Join(dir, "networks.d") }

// NetworkFile returns the path of a network's file. It does not check the name.
func NetworkFile(dir, name string) string {
	return filepath.Join(NetworksDir(dir), name+suffix)
}

const suffix = ".toml"

// WebAddressFile is the file in which berth-web, if systemd has started it, stores the
// address of its page with the token. Only root may read it.
const WebAddressFile = "/run/berth-web/address"
