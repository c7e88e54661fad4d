package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// CRI is a node of Kubernetes, driven by crictl. A [Container] is a pod with one container.
// Each pod has an interface eth0 on the node's bridge.
type CRI struct {
	Server
	Handler   string // of the pods, "" for the default one
	Namespace string // of the pods, "" for "default"
	SharedPID bool   // whether the containers of a pod share a PID namespace
	mu        sync.Mutex
	pods      map[string]*pod // by the name of the container
	attempts  map[string]int  // of each pod's sandboxes
}

// A Server serves Kubernetes' interface of containers: [ContainerdCRI] or [CRIO].
type Server interface {
	Name() string // as berth install takes it
	StartDaemon() error
	StopDaemon() error
	KillDaemon() error  // by SIGKILL; its containers stay
	ConfigFile() string // written at the first start, unless it exists
	PluginDir() string  // from which it starts NRI plugins
	machine() *Host
	dir() string // has its sockets and its log
}

// The namespaces of a pod's containers (NamespaceMode of Kubernetes' interface).
const (
	namespaceOfPod       = 0
	namespaceOfContainer = 1
	namespaceOfNode      = 2
)

// A pod is the input of crictl, and the ids that it has returned.
type pod struct {
	config             string // path
	namespaces         map[string]any
	sandbox, container string // ids
}

// podNetwork is the network of the node's pods, with their default route. Its name is
// the node's: when CRI-O starts, it deletes the interfaces that CNI's cache lists for a
// network and CRI-O does not know, and all nodes of a test share this cache.
const podNetwork = `{
	"cniVersion": "0.4.0",
	"name": "%s",
	"plugins": [{
		"type": "bridge", "bridge": "pods0", "isGateway": true,
		"ipam": {"type": "host-local", "dataDir": "%s/leases", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
	}]
}
`

// writePodNetwork writes it into a server's directory for CNI.
func writePodNetwork(s Server) error {
	text := fmt.Sprintf(podNetwork, s.machine().Name, s.dir(), EngineSubnet)
	return writeFile(filepath.Join(s.dir(), "cni/10-pods.conflist"), text)
}

// Crictl runs crictl.
func (c *CRI) Crictl(args ...string) (string, error) {
	out, err := crictl(c.Server, args...)
	return strings.TrimSpace(out), err
}

// Socket returns the path at which the runtime listens.
func (c *CRI) Socket() string { return socketOf(c.Server) }

func socketOf(s Server) string { return filepath.Join(s.dir(), "socket") }

func crictl(s Server, args ...string) (string, error) {
	endpoint := "unix://" + socketOf(s)
	return s.machine().Run("crictl", append([]string{
		"--runtime-endpoint", endpoint, "--image-endpoint", endpoint, "--timeout", "60s",
	}, args...)...)
}

// StartNRI starts berth-nri as a service. It connects when the server is running.
func (c *CRI) StartNRI() (*Daemon, error) {
	log := filepath.Join(c.dir(), unique("berth-nri")+".log")
	h := c.machine()
	args := append(h.flags(), "--socket", filepath.Join(c.dir(), "nri.sock"))
	return h.start(log, filepath.Join(h.Bin, "berth-nri"), args...)
}

// Plugged returns the number of times that the server has connected berth's plugin. Once
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
		_ = c.Stop(ct.ID) // the caller needs the error of the start
	}
	return id, err
}

// StartPod starts the sandbox of a pod.
func (c *CRI) StartPod(ct Container) (string, error) {
	options := map[string]any{"network": namespaceOfPod, "pid": namespaceOfContainer} // as a kubelet has it
	if ct.Network == HostNetwork {
		options["network"] = namespaceOfNode
	}
	if c.SharedPID {
		options["pid"] = namespaceOfPod
	}
	p := &pod{config: filepath.Join(c.dir(), "pods", ct.ID+".json"), namespaces: options}
	namespace := c.Namespace
	if namespace == "" {
		namespace = "default"
	}
	text, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"name": ct.ID, "namespace": namespace, "uid": "uid-" + ct.ID, "attempt": c.nextAttempt(ct.ID),
		},
		"annotations": ct.Annotations,
		"linux":       map[string]any{"security_context": map[string]any{"namespace_options": options}},
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

// nextAttempt counts the sandboxes of a pod, as a kubelet does: a runtime keeps the name of one that
// failed, if it cannot delete it in time, and refuses a second one of the same name.
func (c *CRI) nextAttempt(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attempts == nil {
		c.attempts = make(map[string]int)
	}
	c.attempts[id]++
	return c.attempts[id] - 1
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
			"namespace_options": p.namespaces,
			"capabilities":      map[string]any{"add_capabilities": []string{"NET_ADMIN", "NET_RAW"}}}},
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

// RemovePods removes the sandboxes that the runtime still lists, as a kubelet does with those
// that did not become ready: containerd keeps one if it cannot take its network down.
func (c *CRI) RemovePods() error {
	all, err := c.Crictl("pods", "--quiet")
	for _, id := range strings.Fields(all) {
		_, removed := c.Crictl("rmp", "--force", id)
		err = errors.Join(err, removed)
	}
	return err
}

// ContainerID returns the id of a pod's container.
func (c *CRI) ContainerID(id string) (string, error) {
	p, err := c.pod(id)
	if err != nil {
		return "", err
	}
	return p.container, nil
}

// SandboxID returns the id of a pod's sandbox.
func (c *CRI) SandboxID(id string) (string, error) {
	p, err := c.pod(id)
	if err != nil {
		return "", err
	}
	return p.sandbox, nil
}
