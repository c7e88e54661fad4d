package nri

import (
	"net"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"berth/internal/testnet"
)

// The runtime is restarted; a pod has ended meanwhile, and another was started
// without berth.
func TestTheRuntimeIsRestarted(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connected()
	kept, ended := testnet.Namespace(t), testnet.Namespace(t)
	for _, p := range []*api.PodSandbox{pod("kept", kept, "lan"), pod("ended", ended, "lan")} {
		if err := r.RunPodSandbox(t.Context(), event(p)); err != nil {
			t.Fatal(err)
		}
	}
	r.Stop()
	n.die()
	if err := ended.Close(); err != nil {
		t.Fatal(err)
	}
	// What runs unattached stays so, and gets no further container.
	missed := pod("missed", testnet.Namespace(t), "lan")
	missed.Name = "late"
	n.mu.Lock()
	n.pods = []*api.PodSandbox{pod("kept", kept, "lan"), missed, pod("other", nil, "")}
	n.mu.Unlock()
	r = n.runtime()
	n.waitFor(r)
	n.attachment("kept")
	if got := n.records(); strings.Contains(got, "ended") || strings.Contains(got, "missed") {
		t.Errorf("records:\n%s", got)
	}
	testnet.Run(t, kept, "ip", "link", "show", "net1")
	if log := n.log.String(); strings.Count(log, "runs without what it asks for") != 1 || !strings.Contains(log, "pod=prod-a/late") {
		t.Errorf("log:\n%s", log)
	}
	_, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: missed, Container: &api.Container{Id: "c"}})
	if err == nil || !strings.Contains(err.Error(), `pod "prod-a/late": want one that has what its annotations ask for: its sandbox was started without berth (delete the pod`) {
		t.Errorf("error %v", err)
	}
	again := pod("again", testnet.Namespace(t), "lan")
	if err := r.RunPodSandbox(t.Context(), event(again)); err != nil {
		t.Fatal(err)
	}
	if got := n.attachment("again").Addresses[0].String(); got != "192.0.2.3/24" {
		t.Errorf("address %s, want the one that came free", got)
	}
}

// With required_plugins no container is started that berth has not been asked about.
func TestTheRuntimeRequiresThePlugin(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.runtime(required())
	web := pod("web", testnet.Namespace(t), "lan")
	create := func() error {
		_, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: &api.Container{Id: "c", Name: "app"}})
		return err
	}
	if err := create(); err == nil || !strings.Contains(err.Error(), `required plugin "berth" not present`) {
		t.Fatalf("error %v", err)
	}
	n.serve()
	testnet.Eventually(t, "the plugin refuses", func() bool { err := create(); return err != nil && strings.Contains(err.Error(), "berth: ") })
	if err := r.RunPodSandbox(t.Context(), event(web)); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Error(err)
	}
}

// A runtime that dies between its answer to the registration and its next word
// leaves the library waiting; the plugin goes on to the next runtime.
func TestARuntimeThatDiesWhileThePluginRegisters(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	l, err := net.Listen("unix", n.socket)
	if err != nil {
		t.Fatal(err)
	}
	n.serve()
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
	n.waitFor(n.runtime())
}

func TestConfigurationInTheRuntimeIsRefused(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if _, err := n.plugin.Configure(t.Context(), "parent = 1\n", "test", "1"); err == nil || !strings.Contains(err.Error(), "want none: berth's settings are in "+n.dirs.Config) {
		t.Errorf("error %v", err)
	}
	if mask, err := n.plugin.Configure(t.Context(), " \n", "test", "1"); mask != 0 || err != nil {
		t.Errorf("%v, %v", mask, err)
	}
}
