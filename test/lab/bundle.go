package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A Bundle is the input of an OCI runtime.
type Bundle struct {
	ID          string // also the name of its cgroup
	Rootfs      string
	Args        []string
	Annotations map[string]string
	Hooks       *specs.Hooks
	NetNS       string // "" for a new one, HostNetwork for the runtime's own, else a path
	UserNS      bool   // a user namespace of its own
}

// capabilities are those of docker's defaults that the tests need, and NET_ADMIN, with
// which a container can change its own MAC.
var capabilities = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_ADMIN", "CAP_NET_RAW",
	"CAP_NET_BIND_SERVICE"}

// Write writes DIR/config.json.
func (b *Bundle) Write(dir string) error {
	data, err := json.MarshalIndent(b.spec(), "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
}

func (b *Bundle) spec() *specs.Spec {
	linux := &specs.Linux{Namespaces: b.namespaces(), CgroupsPath: "/" + b.ID}
	if b.UserNS {
		linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: firstUser, Size: users}}
		linux.GIDMappings = linux.UIDMappings
	}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Args: b.Args,
			Cwd:  "/",
			Env:  []string{"PATH=/bin", "HOME=/"},
			Capabilities: &specs.LinuxCapabilities{
				Bounding: capabilities, Effective: capabilities, Permitted: capabilities,
			},
		},
		Root:        &specs.Root{Path: b.Rootfs, Readonly: true},
		Hostname:    b.ID,
		Mounts:      mounts(),
		Hooks:       b.Hooks,
		Annotations: maps.Clone(b.Annotations),
		Linux:       linux,
	}
}

func (b *Bundle) namespaces() []specs.LinuxNamespace {
	all := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
	}
	if b.UserNS {
		all = append(all, specs.LinuxNamespace{Type: specs.UserNamespace})
	}
	if b.NetNS == HostNetwork {
		return all
	}
	return append(all, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: b.NetNS})
}

// The ids on the host of the users of a container in a user namespace.
const (
	firstUser = 100000
	users     = 65536
)

// userNamespace is the mapping of users in the format of command lines.
var userNamespace = fmt.Sprintf("0:%d:%d", firstUser, users)

func mounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=64k"}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
	}
}
