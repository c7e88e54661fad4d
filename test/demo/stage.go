package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"berth/test/lab"
)

const (
	hostName = "host"
	workDir  = lab.Dir + "/demo" // the user's current directory
	binDir   = lab.Dir + "/bin"
	rootfs   = workDir + "/rootfs"
	hooksDir = "/usr/share/containers/oci/hooks.d" // podman reads no other by itself
)

// A stage is the host, its LAN, and another machine there.
type stage struct {
	host  *lab.Host
	pc    *lab.Machine
	links string // of the host, before anything happened
}

// newStage makes the namespaces and the files that a user would have.
func newStage(bin string) (*stage, error) {
	lan, err := lab.NewSwitch("switch")
	if err != nil {
		return nil, err
	}
	pc, err := lab.NewMachine("pc")
	if err != nil {
		return nil, err
	}
	host, err := lab.NewMachine(hostName)
	if err != nil {
		return nil, err
	}
	s := &stage{pc: pc, host: &lab.Host{
		Machine: host, Bin: binDir, Dir: workDir,
		Config: "/etc/berth", State: "/run/berth", BPFFS: "/sys/fs/bpf/berth",
	}}
	err = errors.Join(
		lan.Plug(host, "eth1"), lan.Plug(pc, "eth0", "192.0.2.1/24"),
		os.RemoveAll(s.host.Config), // a copy: the machine's own stays
		os.MkdirAll(workDir, 0o755), lab.Rootfs(rootfs),
		s.programs(bin), s.bundles(), s.podman())
	if err != nil {
		return nil, err
	}
	s.links, err = host.Run("ip", "-brief", "link")
	return s, err
}

// programs links berth's programs into a directory on the PATH.
func (s *stage) programs(bin string) error {
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"berth", "berthd", "berth-hook", "berth-hook-client", "berth-web"} {
		if _, err := lab.Output(exec.Command("cp", filepath.Join(bin, name), binDir)); err != nil {
			return err
		}
	}
	return os.Setenv("PATH", binDir+":"+os.Getenv("PATH"))
}

// added is the part that a user adds to a config.json.
const added = `{
  "annotations": {"berth/networks": "lan"},
  "hooks": {
    "createRuntime": [
      {"path": "` + binDir + `/berth-hook", "env": ["PATH=/usr/bin"]}
    ],
    "poststop": [
      {"path": "` + binDir + `/berth-hook", "env": ["PATH=/usr/bin"]}
    ]
  },
`

// bundles writes the bundles of runc: an ordinary config.json, with berth's part at its
// head.
func (s *stage) bundles() error {
	for _, id := range []string{"web", "api"} {
		dir := filepath.Join(workDir, id)
		b := lab.Bundle{ID: id, Rootfs: rootfs, Args: []string{"sleep", "600"}}
		if err := b.Write(dir); err != nil {
			return err
		}
		file := filepath.Join(dir, "config.json")
		config, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		config = bytes.Replace(config, []byte("{\n"), []byte(added), 1)
		if err := os.WriteFile(file, config, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// storage is podman's storage, in which the agent reads names.
const storage = lab.Dir + "/storage"

// podman writes podman's configuration into the copy of /etc, the hook into the
// directory that every podman reads, and the path of podman's storage into berth.toml.
func (s *stage) podman() error {
	hooks, err := os.ReadFile("deploy/hooks.d/berth.json")
	if err != nil {
		return err
	}
	hooks = bytes.ReplaceAll(hooks, []byte("/usr/local/bin"), []byte(binDir))
	if err := ownCopy("/usr/share/containers"); err != nil {
		return err
	}
	const settings = "[storage]\ndriver = \"vfs\"\ngraphroot = \"" + storage + "\"\nrunroot = \"/run/containers\"\n"
	dir := "/etc/containers"
	return errors.Join(
		os.MkdirAll(hooksDir, 0o755),
		os.WriteFile(hooksDir+"/berth.json", hooks, 0o644),
		os.MkdirAll(dir, 0o755),
		os.WriteFile(dir+"/storage.conf", []byte(settings), 0o644),
		os.WriteFile(dir+"/containers.conf", []byte(lab.ContainersConf()), 0o644),
		os.Setenv("CONTAINERS_CONF", dir+"/containers.conf"),
		os.MkdirAll(s.host.Config, 0o755),
		os.WriteFile(s.host.Config+"/berth.toml", []byte("[agent]\npodman = \""+storage+"\" # has names\n"), 0o644),
		s.image())
}

// image makes an image of the root file system, because podman stores a container's name
// only if its storage has an image.
func (s *stage) image() error {
	_, err := s.host.Run("sh", "-c", "tar -C "+rootfs+" -c . | podman import --quiet - busybox")
	return err
}

// ownCopy mounts a copy of a directory over it, visible only to the demo.
func ownCopy(dir string) error {
	copied := filepath.Join(lab.Dir, filepath.Base(dir))
	if _, err := lab.Output(exec.Command("cp", "-a", dir, copied)); err != nil {
		return err
	}
	if err := unix.Mount(copied, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("put a copy of %s over it: %w", dir, err)
	}
	return nil
}

// nothingLeft compares the host with its state before the tour.
func (s *stage) nothingLeft() error {
	links, err := s.host.Run("ip", "-brief", "link")
	if err != nil {
		return err
	}
	if links != s.links {
		return fmt.Errorf("the interfaces were\n%sand are\n%s", s.links, links)
	}
	if _, err := os.Stat(s.host.BPFFS); !os.IsNotExist(err) {
		return fmt.Errorf("there is still something pinned in %s (%v)", s.host.BPFFS, err)
	}
	return nil
}
