package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// CRI is a containerd of the host's own, configured as on a node of Kubernetes and driven
// by crictl. A [Container] is a pod with one container. Each pod has an interface eth0
// on the node's bridge.
type CRI struct {
	Containerd
	Handler   string // of the pods, "" for the default one
	Namespace string // of the pods, "" for "default"
	Settings  string // further tables of containerd's configuration
	mu        sync.Mutex
	pods      map[string]*pod // by the name of the container
}

// A pod is the input of crictl, and the ids that it has returned.
type pod struct {
	config             string // path
	sandbox, container string // ids
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

// podNetwork is the network of the node's pods, which provides their default route.
const podNetwork = `{
	"cniVersion": "0.4.0",
	"name": "pods",
	"plugins": [{
		"type": "bridge", "bridge": "pods0", "isGateway": true,
		"ipam": {"type": "host-local", "dataDir": "%s/leases", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
	}]
}
`

// ConfigFile is the path of containerd's configuration.
func (c *CRI) ConfigFile() string { return filepath.Join(c.dir(), "cri.toml") }

// PluginDir is the directory from which containerd starts NRI plugins.
func (c *CRI) PluginDir() string { return filepath.Join(c.dir(), "plugins") }

// modern reports whether the machine's containerd is 2.0 or newer.
func (c *CRI) modern() (bool, error) {
	out, err := c.Host.Run("containerd", "--version")
	if err != nil {
		return false, err
	}
	fields := strings.Fields(out) // containerd REPOSITORY VERSION …
	if len(fields) < 3 {
		return false, fmt.Errorf("containerd --version prints %q, and no version", out)
	}
	return !strings.HasPrefix(strings.TrimPrefix(fields[2], "v"), "1."), nil
}

// StartDaemon starts containerd, and loads the image of pods unless it exists.
func (c *CRI) StartDaemon() error {
	if err := c.Configure(); err != nil {
		return err
	}
	c.Config = c.ConfigFile()
	if err := c.Containerd.StartDaemon(); err != nil {
		return err
	}
	if err := c.daemon.ready(func() error { _, err := c.Crictl("info"); return err }); err != nil {
		return err
	}
	if out, err := c.ctr("--namespace", "k8s.io", "images", "ls", "--quiet"); err != nil || strings.Contains(out, ImageName) {
		return err
	}
	archive := filepath.Join(c.dir(), "image.tar")
	if err := Image(c.Rootfs, archive); err != nil {
		return err
	}
	_, err := c.ctr("--namespace", "k8s.io", "images", "import", archive)
	return err
}

// KillDaemon ends containerd by SIGKILL. Its shims and containers stay.
func (c *CRI) KillDaemon() error { return c.daemon.Kill() }

// Configure writes containerd's configuration unless it exists; a test may have changed
// it.
func (c *CRI) Configure() error {
	if exists(c.ConfigFile()) {
		return nil
	}
	modern, err := c.modern()
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
	config := fmt.Sprintf(criConfig[modern], ImageName, c.dir(), runc) + fmt.Sprintf(nriConfig, c.dir()) + c.Settings
	return firstError(
		writeFile(c.ConfigFile(), config),
		writeFile(filepath.Join(c.dir(), "cni/10-pods.conflist"), fmt.Sprintf(podNetwork, c.dir(), EngineSubnet)))
}

// Crictl runs crictl.
func (c *CRI) Crictl(args ...string) (string, error) {
	endpoint := "unix://" + filepath.Join(c.dir(), "socket")
	out, err := c.Host.Run("crictl", append([]string{
		"--runtime-endpoint", endpoint, "--image-endpoint", endpoint, "--timeout", "60s",
	}, args...)...)
	return strings.TrimSpace(out), err
}

// StartNRI starts berth-nri as a service. It connects when containerd is running.
func (c *CRI) StartNRI() (*Daemon, error) {
	log := filepath.Join(c.dir(), unique("berth-nri")+".log")
	args := append(c.Host.flags(), "--socket", filepath.Join(c.dir(), "nri.sock"))
	return c.Host.start(log, filepath.Join(c.Host.Bin, "berth-nri"), args...)
}

// Plugged returns the number of times that containerd has connected berth's plugin. Once
// connected, the plugin receives requests about pods.
func (c *CRI) Plugged() int {
	log, _ := os.ReadFile(filepath.Join(c.dir(), "log")) // it may not have started
	return strings.Count(string(log), `berth\" connected`)
}

// Start implements Engine. The id is that of the pod's sandbox.
func (c *CRI) Start(ct Container) (string, error) {
	id, err := c.StartPod(ct)
	if err == nil {
		err = c.StartContainer(ct)
	}
	if err != nil && id != "" {
		_ = c.Stop(ct.ID) // the error of the start is returned
	}
	return id, err
}

// StartPod starts the sandbox of a pod.
func (c *CRI) StartPod(ct Container) (string, error) {
	p := &pod{config: filepath.Join(c.dir(), "pods", ct.ID+".json")}
	network := 0 // a namespace of the pod's own
	if ct.Network == HostNetwork {
		network = 2
	}
	namespace := c.Namespace
	if namespace == "" {
		namespace = "default"
	}
	text, err := json.Marshal(map[string]any{
		"metadata":    map[string]any{"name": ct.ID, "namespace": namespace, "uid": unique("uid"), "attempt": 0},
		"annotations": ct.Annotations,
		"linux":       map[string]any{"security_context": map[string]any{"namespace_options": map[string]any{"network": network}}},
	})
	if err := firstError(err, writeFile(p.config, string(text))); err != nil {
		return "", err
	}
	args := []string{"runp"}
	if c.Handler != "" {
		args = append(args, "--runtime", c.Handler)
	}
	if p.sandbox, err = c.Crictl(append(args, p.config)...); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods == nil {
		c.pods = make(map[string]*pod)
	}
	c.pods[ct.ID] = p
	return p.sandbox, nil
}

// StartContainer starts the container of a pod.
func (c *CRI) StartContainer(ct Container) error {
	p, err := c.pod(ct.ID)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir(), "pods", unique(ct.ID)+"-container.json")
	text, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": unique("main")},
		"image":    map[string]any{"image": ImageName},
		"command":  ct.Args,
		"linux": map[string]any{"security_context": map[string]any{
			"capabilities": map[string]any{"add_capabilities": []string{"NET_ADMIN", "NET_RAW"}}}},
	})
	if err := firstError(err, writeFile(file, string(text))); err != nil {
		return err
	}
	if p.container, err = c.Crictl("create", p.sandbox, file, p.config); err != nil {
		return err
	}
	_, err = c.Crictl("start", p.container)
	return err
}

func (c *CRI) pod(name string) (*pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pods[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no pod %q was started", name)
}

// Exec implements Engine.
func (c *CRI) Exec(id, name string, args ...string) (string, error) {
	p, err := c.pod(id)
	if err != nil {
		return "", err
	}
	return c.Crictl(append([]string{"exec", "--sync", p.container, name}, args...)...)
}

// PID implements Engine.
func (c *CRI) PID(id string) (pid int, err error) {
	p, err := c.pod(id)
	if err != nil {
		return 0, err
	}
	out, err := c.Crictl("inspect", "--output", "go-template", "--template", "{{.info.pid}}", p.container)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(out, &pid)
	return pid, err
}

// Inspect returns the runtime's view of a pod's container, as JSON.
func (c *CRI) Inspect(id string) (string, error) {
	p, err := c.pod(id)
	if err != nil {
		return "", err
	}
	return c.Crictl("inspect", p.container)
}

// Restart implements Engine: it replaces the container and keeps the pod, as a kubelet
// does.
func (c *CRI) Restart(id string) error {
	p, err := c.pod(id)
	if err != nil {
		return err
	}
	if _, err := c.Crictl("rm", "--force", p.container); err != nil {
		return err
	}
	return c.StartContainer(Container{ID: id, Args: []string{"sleep", "600"}})
}

// Stop implements Engine.
func (c *CRI) Stop(id string) error {
	p, err := c.pod(id)
	if err != nil {
		return err
	}
	if _, err := c.Crictl("stopp", p.sandbox); err != nil {
		return err
	}
	_, err = c.Crictl("rmp", "--force", p.sandbox)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pods, id)
	return err
}
