package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ContainerdCRI is a containerd of one host, configured as on a node of Kubernetes.
type ContainerdCRI struct {
	Containerd
	Settings string // further keys of containerd's table nri, and tables after it
}

// criConfig is containerd's configuration, in the version of containerd 2 (true) or of
// containerd 1.
var criConfig = map[bool]string{
	true: `version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "%[1]s"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_dir = "%[2]s/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  options = { BinaryName = "%[3]s" }
`,
	false: `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%[1]s"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = "%[2]s/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  options = { BinaryName = "%[3]s" }
`,
}

// nriConfig enables NRI, which is off in containerd 1.
const nriConfig = `[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "%[1]s/nri.sock"
  plugin_path = "%[1]s/plugins"
  plugin_config_path = "%[1]s/plugins.d"
`

// Name implements Server.
func (c *ContainerdCRI) Name() string { return "containerd" }

func (c *ContainerdCRI) machine() *Host { return c.Host }

// ConfigFile implements Server.
func (c *ContainerdCRI) ConfigFile() string { return filepath.Join(c.dir(), "cri.toml") }

// PluginDir implements Server.
func (c *ContainerdCRI) PluginDir() string { return filepath.Join(c.dir(), "plugins") }

// StartDaemon starts containerd, and loads the image of pods unless it exists.
func (c *ContainerdCRI) StartDaemon() error {
	if err := c.configure(); err != nil {
		return err
	}
	c.Config = c.ConfigFile()
	if err := c.Containerd.StartDaemon(); err != nil {
		return err
	}
	if err := c.daemon.ready(func() error { _, err := crictl(c, "info"); return err }); err != nil {
		return err
	}
	if out, err := c.ctr("--namespace", "k8s.io", "images", "ls", "--quiet"); err != nil ||
		strings.Contains(out, ImageName) {
		return err
	}
	archive := filepath.Join(c.dir(), "image.tar")
	if err := Image(c.Rootfs, archive); err != nil {
		return err
	}
	_, err := c.ctr("--namespace", "k8s.io", "images", "import", archive)
	return err
}

// configure writes containerd's configuration unless it exists; a test may have changed
// it.
func (c *ContainerdCRI) configure() error {
	if exists(c.ConfigFile()) {
		return nil
	}
	version, err := c.Version()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.PluginDir(), 0o755); err != nil {
		return err
	}
	runc, err := c.lowRuntime("runc")
	if err != nil {
		return err
	}
	config := fmt.Sprintf(criConfig[!strings.HasPrefix(version, "1.")], ImageName, c.dir(), runc) +
		fmt.Sprintf(nriConfig, c.dir()) + c.Settings
	return firstError(writeFile(c.ConfigFile(), config), writePodNetwork(c))
}
