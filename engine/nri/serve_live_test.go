package nri

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"berth/internal/testnet"
)

// TestTheRuntimeIsRestarted restarts the runtime; meanwhile a pod has ended, and another
// was started without berth.
func TestTheRuntimeIsRestarted(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	kept, ended := testnet.Namespace(t), testnet.Namespace(t)
	for _, p := range []*api.PodSandbox{newPod("kept", kept, "lan"), newPod("ended", ended, "lan")} {
		if err := r.RunPodSandbox(t.Context(), podEvent(p)); err != nil {
			t.Fatal(err)
		}
	}
	r.Stop()
	n.dieAbruptly()
	if err := ended.Close(); err != nil {
		t.Fatal(err)
	}
	// A pod that runs unattached stays so, and gets no further container.
	missed := newPod("missed", testnet.Namespace(t), "lan")
	missed.Name = "late"
	n.mu.Lock()
	n.pods = []*api.PodSandbox{newPod("kept", kept, "lan"), missed, newPod("other", nil, "")}
	n.containers = []*api.Container{newContainer("c0", "missed", api.ContainerState_CONTAINER_RUNNING)}
	n.mu.Unlock()
	r = n.startRuntime()
	n.waitFor(r)
	n.attachment("kept")
	if got := n.Records(); strings.Contains(got, "ended") || strings.Contains(got, "missed") {
		t.Errorf("records:\n%s", got)
	}
	testnet.Run(t, kept, "ip", "link", "show", "net1")
	if log := n.log.String(); strings.Count(log, "pod runs without the interfaces that it requests") != 1 || !strings.Contains(log, "pod=prod-a/late") {
		t.Errorf("log:\n%s", log)
	}
	_, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: missed, Container: &api.Container{Id: "c"}})
	if err == nil || !strings.Contains(err.Error(), `pod "prod-a/late" runs without the interfaces that its annotations request, because its sandbox was started without berth; delete the pod`) {
		t.Errorf("error %v", err)
	}
	again := newPod("again", testnet.Namespace(t), "lan")
	if err := r.RunPodSandbox(t.Context(), podEvent(again)); err != nil {
		t.Fatal(err)
	}
	if got := n.attachment("again").Addresses[0].String(); got != "192.0.2.3/24" {
		t.Errorf("address %s, want the one that came free", got)
	}
}

// TestTheRuntimeRequiresThePlugin requires that with required_plugins no container starts
// without a request to berth.
func TestTheRuntimeRequiresThePlugin(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.startRuntime(requireBerth())
	web := newPod("web", testnet.Namespace(t), "lan")
	create := func() error {
		_, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: &api.Container{Id: "c", Name: "app"}})
		return err
	}
	if err := create(); err == nil || !strings.Contains(err.Error(), `required plugin "berth" not present`) {
		t.Fatalf("error %v", err)
	}
	n.servePlugin()
	testnet.Eventually(t, "the plugin is asked", func() bool { return create() == nil })
	n.attachment("web")
}

// TestARuntimeThatDiesWhileThePluginRegisters: if a runtime dies between its answer to the
// registration and its next message, the library waits for ever; the plugin goes on to the
// next runtime.
func TestARuntimeThatDiesWhileThePluginRegisters(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	l, err := net.Listen("unix", n.socket)
	if err != nil {
		t.Fatal(err)
	}
	n.servePlugin()
	for range 2 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil { // it has begun
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	n.waitFor(n.startRuntime())
}

func TestConfigurationInTheRuntimeIsRefused(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if _, err := n.plugin.Configure(t.Context(), "parent = 1\n", "test", "1"); err == nil || !strings.Contains(err.Error(), "want no text, because berth's settings are in "+n.Dirs.Config) {
		t.Errorf("error %v", err)
	}
	if mask, err := n.plugin.Configure(t.Context(), " \n", "test", "1"); mask != 0 || err != nil {
		t.Errorf("%v, %v", mask, err)
	}
}

// TestASandboxThatThePluginHasMissed: if a pod's sandbox was started while the plugin was
// away, as at a node's boot, its first container triggers the attachment.
func TestASandboxThatThePluginHasMissed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		there []*api.Container
		want  string // in the error; "" if the pod is attached
	}{
		"no container":        {nil, ""},
		"one that ended":      {[]*api.Container{newContainer("c0", "web", api.ContainerState_CONTAINER_STOPPED)}, ""},
		"one that is created": {[]*api.Container{newContainer("c0", "web", api.ContainerState_CONTAINER_CREATED)}, ""},
		"one that runs":       {[]*api.Container{newContainer("c0", "web", api.ContainerState_CONTAINER_RUNNING)}, "runs without the interfaces that its annotations request"},
		"one that is paused":  {[]*api.Container{newContainer("c0", "web", api.ContainerState_CONTAINER_PAUSED)}, "runs without the interfaces that its annotations request"},
		"another pod's":       {[]*api.Container{newContainer("c0", "other", api.ContainerState_CONTAINER_RUNNING)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			ns := testnet.Namespace(t)
			web := newPod("web", ns, "lan")
			n.pods, n.containers = []*api.PodSandbox{web}, c.there
			r := n.connectBoth()
			created, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: newContainer("c1", "web", 0)})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %s", err, c.want)
				}
				if got := n.Records(); got != "" {
					t.Errorf("attached all the same:\n%s", got)
				}
				return
			}
			if err != nil || !strings.Contains(created.GetAdjust().GetAnnotations()[StatusAnnotation], "192.0.2.2") {
				t.Fatalf("%v, %v", created, err)
			}
			testnet.Run(t, ns, "ip", "link", "show", "net1")
			n.attachment("web")
		})
	}
}

// TestTheContainersOfAMissedSandbox requires that events alone, without a new connection,
// show whether a container runs or has ended.
func TestTheContainersOfAMissedSandbox(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	web := newPod("web", testnet.Namespace(t), "")
	c0 := newContainer("c0", "web", 0)
	if err := r.StartContainer(t.Context(), &api.StateChangeEvent{Pod: web, Container: c0}); err != nil {
		t.Fatal(err)
	}
	web.Annotations["berth/networks"] = "lan"
	create := func() error {
		_, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: newContainer("c1", "web", 0)})
		return err
	}
	if err := create(); err == nil || !strings.Contains(err.Error(), "runs without the interfaces that its annotations request") {
		t.Errorf("error %v", err)
	}
	if _, err := r.StopContainer(t.Context(), &api.StopContainerRequest{Pod: web, Container: c0}); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Error(err)
	}
	n.attachment("web")
}

// TestAPodFromBeforeARestartOfTheRuntime: for older pods, a restarted runtime reports only
// the end of the containers (containerd 2).
func TestAPodFromBeforeARestartOfTheRuntime(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(n *node, r *adaptation.Adaptation, web *api.PodSandbox, ns *testnet.NS){
		"the last container is removed": func(n *node, r *adaptation.Adaptation, web *api.PodSandbox, _ *testnet.NS) {
			for _, id := range []string{"c0", "c1"} {
				n.attachment("web") // until the last container
				event := &api.StateChangeEvent{Pod: web, Container: newContainer(id, "web", 0)}
				if err := r.RemoveContainer(n.Context(), event); err != nil {
					n.Error(err)
				}
			}
			if got := n.Records(); got != "" {
				n.Errorf("left behind:\n%s", got)
			}
		},
		"its namespace dies": func(n *node, _ *adaptation.Adaptation, _ *api.PodSandbox, ns *testnet.NS) {
			n.attachment("web")
			if err := ns.Close(); err != nil {
				n.Fatal(err)
			}
			testnet.Eventually(n, "the pod is released", func() bool { return n.Records() == "" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.plugin.SweepPeriod = 50 * time.Millisecond
			r := n.connectBoth()
			ns := testnet.Namespace(t)
			web := newPod("web", ns, "lan")
			if err := r.RunPodSandbox(t.Context(), podEvent(web)); err != nil {
				t.Fatal(err)
			}
			r.Stop()
			n.dieAbruptly()
			n.mu.Lock()
			n.containers = []*api.Container{
				newContainer("c0", "web", api.ContainerState_CONTAINER_RUNNING), newContainer("c1", "web", api.ContainerState_CONTAINER_STOPPED),
			}
			n.mu.Unlock()
			r = n.startRuntime()
			n.waitFor(r)
			end(n, r, web, ns)
		})
	}
}

// TestAPodWithoutAContainerKeepsItsInterface: if the runtime reports the end of a sandbox,
// its last container may end and another start: the pod keeps its address.
func TestAPodWithoutAContainerKeepsItsInterface(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	web := newPod("web", testnet.Namespace(t), "lan")
	if err := r.RunPodSandbox(t.Context(), podEvent(web)); err != nil {
		t.Fatal(err)
	}
	before := n.attachment("web").Created
	c := newContainer("c0", "web", 0)
	if _, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: c}); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveContainer(t.Context(), &api.StateChangeEvent{Pod: web, Container: c}); err != nil {
		t.Fatal(err)
	}
	if after := n.attachment("web").Created; !after.Equal(before) {
		t.Errorf("attached again at %v, before at %v", after, before)
	}
}

// TestTwoInstancesOfThePlugin requires that two instances, a service and one started by the
// runtime, do not keep containers from being created.
func TestTwoInstancesOfThePlugin(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	second := &Plugin{Dirs: n.Dirs, Store: n.Store, Log: slog.New(slog.NewTextHandler(&n.log, nil)).With("plugin", "second")}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- second.Serve(ctx, Options{Socket: n.socket, Index: "20"}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	testnet.Eventually(t, "the second is connected", func() bool { return strings.Count(n.log.String(), "msg=connected") == 2 })
	web := newPod("web", testnet.Namespace(t), "lan")
	testnet.Eventually(t, "both are asked", func() bool { // the runtime asks a plugin a moment after it has connected
		if err := r.RunPodSandbox(t.Context(), podEvent(web)); err != nil {
			t.Fatal(err)
		}
		text := n.log.String()
		of := strings.Count(text, "msg=attached plugin=second")
		return of > 0 && strings.Count(text, "msg=attached") > of
	})
	created, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: newContainer("c1", "web", 0)})
	if err != nil || !strings.Contains(created.GetAdjust().GetAnnotations()[StatusAnnotation], "192.0.2.2") {
		t.Fatalf("%v, %v", created, err)
	}
	if err := r.StopPodSandbox(t.Context(), podEvent(web)); err != nil {
		t.Fatal(err)
	}
	if got := n.Records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}
