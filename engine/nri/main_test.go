package nri

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	validator "github.com/containerd/nri/plugins/default-validator/builtin"

	"berth/engine/doortest"
	"berth/internal/state"
	"berth/internal/testnet"
)

// requestTimeout is the runtime's timeout, longer than the default: machines may be slow.
const requestTimeout = 30 * time.Second

func TestMain(m *testing.M) {
	adaptation.SetPluginRequestTimeout(requestTimeout)
	adaptation.SetPluginRegistrationTimeout(requestTimeout)
	testnet.Main(m)
}

// node is a host with a parent, a plugin and, once started, the runtime's side of NRI.
type node struct {
	*doortest.Host
	plugin *Plugin
	socket string
	name   string // of the runtime
	its    string // version of the runtime
	log    testnet.Output

	mu         sync.Mutex
	pods       []*api.PodSandbox // listed by the runtime for a new plugin
	containers []*api.Container
	open       []io.Closer // the listener in front of the runtime's, and its connections
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{Host: doortest.New(t, doortest.LAN), name: "test", its: "1",
		socket: "/run/" + testnet.Unique("nri") + ".sock"}
	n.plugin = &Plugin{Dirs: n.Dirs, Store: n.Store, Log: slog.New(slog.NewTextHandler(&n.log, nil))}
	t.Cleanup(n.plugin.probers.Wait)
	return n
}

// startRuntime starts the runtime's side of NRI, until the test ends or it is stopped.
func (n *node) startRuntime(options ...adaptation.Option) *adaptation.Adaptation {
	n.Helper()
	options = append([]adaptation.Option{
		adaptation.WithSocketPath(n.forwardSocket()), adaptation.WithPluginPath(n.TempDir()), adaptation.WithPluginConfigPath(n.TempDir()),
	}, options...)
	r, err := adaptation.New(n.name, n.its, n.synchronize, noUpdates, options...)
	if err != nil {
		n.Fatal(err)
	}
	if err := r.Start(); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(r.Stop)
	return r
}

// forwardSocket forwards connections to the node's socket to the socket that it returns. A
// connection to the library's own would outlive the runtime's stop; in reality the process
// ends, which die simulates here.
func (n *node) forwardSocket() (socket string) {
	n.Helper()
	socket = "/run/" + testnet.Unique("runtime") + ".sock"
	front, err := net.Listen("unix", n.socket)
	if err != nil {
		n.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = []io.Closer{front}
	n.Cleanup(n.dieAbruptly)
	go func() {
		for {
			from, err := front.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", socket)
			if err != nil {
				from.Close()
				continue
			}
			n.mu.Lock()
			n.open = append(n.open, from, to)
			n.mu.Unlock()
			go func() { _, _ = io.Copy(to, from); to.Close() }()
			go func() { _, _ = io.Copy(from, to); from.Close() }()
		}
	}()
	return socket
}

// dieAbruptly closes everything that the runtime has open.
func (n *node) dieAbruptly() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.open {
		c.Close()
	}
	n.open = nil
}

func noUpdates(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	return nil, errors.New("the plugin wants to change a container that runs")
}

func (n *node) synchronize(ctx context.Context, tell adaptation.SyncCB) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := tell(ctx, n.pods, n.containers)
	return err
}

// servePlugin runs the plugin until the test ends, or stop is called.
func (n *node) servePlugin() (stop func()) {
	n.Helper()
	ctx, cancel := context.WithCancel(n.Context())
	done := make(chan error, 1)
	go func() { done <- n.plugin.Serve(ctx, Options{Socket: n.socket, Index: "10"}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			n.Errorf("serve: %v", err)
		}
	})
	n.Cleanup(stop)
	return stop
}

// connectBoth starts both sides and waits until they are connected.
func (n *node) connectBoth(options ...adaptation.Option) *adaptation.Adaptation {
	n.Helper()
	r := n.startRuntime(options...)
	n.servePlugin()
	n.waitFor(r)
	return r
}

// waitFor waits until the plugin gets a runtime's requests.
func (n *node) waitFor(r *adaptation.Adaptation) {
	n.Helper()
	testnet.Eventually(n, "the runtime asks the plugin", func() bool {
		_, err := r.CreateContainer(n.Context(), &api.CreateContainerRequest{
			Pod: &api.PodSandbox{Id: "nobody", Annotations: map[string]string{"berth/networks": "lan"}}, Container: &api.Container{Id: "none"},
		})
		return err != nil
	})
}

// newPod returns a sandbox in a network namespace.
func newPod(id string, ns *testnet.NS, networks string) *api.PodSandbox {
	p := &api.PodSandbox{Id: id, Name: "web", Namespace: "prod-a", Uid: "uid-" + id, Annotations: map[string]string{}}
	if networks != "" {
		p.Annotations["berth/networks"] = networks
	}
	if ns != nil {
		p.Linux = &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{
			{Type: "ipc"}, {Type: "network", Path: ns.Path()}}}
	}
	return p
}

// newContainer returns a container of a pod.
func newContainer(id, pod string, state api.ContainerState) *api.Container {
	return &api.Container{Id: id, Name: id, PodSandboxId: pod, State: state}
}

func podEvent(p *api.PodSandbox) *api.StateChangeEvent { return &api.StateChangeEvent{Pod: p} }

func (n *node) attachment(id string) *state.Attachment {
	n.Helper()
	all, err := n.plugin.podAttachments(n.Context(), &api.PodSandbox{Id: id})
	if err != nil || len(all) != 1 {
		n.Fatalf("%d attachments of %s, %v:\n%s", len(all), id, err, n.Records())
	}
	return all[0]
}

// requireBerth returns a runtime's built-in validator, with berth required.
func requireBerth() adaptation.Option {
	return adaptation.WithDefaultValidator(&validator.DefaultValidatorConfig{Enable: true, RequiredPlugins: []string{Name}})
}
