package nri

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"berth/engine/doortest"
	"berth/internal/testnet"
)

// TestARuntimeThatKeepsRefusedPods refuses pods of runtimes with and without the fault. With it, the
// sandbox starts, and no container of it is created as long as the reason of the refusal holds.
func TestARuntimeThatKeepsRefusedPods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		runtime, version string
		keeps            bool
	}{
		"containerd 2.0":     {"containerd", "2.0.11", true},
		"containerd 2.1":     {"containerd", "2.1.9+unknown", true},
		"k3s":                {"containerd", "v2.1.5-k3s1", true},
		"containerd 2.2.5":   {"containerd", "2.2.5", true},
		"containerd 2.2.6":   {"containerd", "2.2.6", false},
		"containerd 2.3.2":   {"containerd", "2.3.2~ds1", true},
		"containerd 2.3.3":   {"containerd", "2.3.3", false},
		"containerd 1.7":     {"containerd", "1.7.24~ds1", false},
		"CRI-O":              {"cri-o", "2.1.0", false},
		"an unknown version": {"containerd", "abcdef", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.name, n.its = c.runtime, c.version
			r := n.connectBoth()
			const reason = `berth: berth/networks[0] "lam": there is no such network in`
			web := newPod("web", testnet.Namespace(t), "lam")
			err := r.RunPodSandbox(t.Context(), podEvent(web))
			if !c.keeps {
				if err == nil || !strings.Contains(err.Error(), reason) {
					t.Errorf("error %v, want %s", err, reason)
				}
				return
			}
			if err != nil {
				t.Fatalf("the sandbox is refused: %v", err)
			}
			if log := n.log.String(); !strings.Contains(log, "containers are refused") {
				t.Errorf("log:\n%s", log)
			}
			n.expectContainerRefused(r, web, reason)
			n.expectContainerRefused(r, web, reason)
		})
	}
}

// expectContainerRefused checks that a pod gets no container, and that no record is left.
func (n *node) expectContainerRefused(r *adaptation.Adaptation, pod *api.PodSandbox, reason string) {
	n.Helper()
	_, err := r.CreateContainer(n.Context(), &api.CreateContainerRequest{Pod: pod, Container: newContainer("c1", pod.Id, 0)})
	if err == nil || !strings.Contains(err.Error(), reason) {
		n.Errorf("the container's error is %v, want %s", err, reason)
	}
	if got := n.Records(); got != "" {
		n.Errorf("left behind:\n%s", got)
	}
}

// TestARefusedPodThatIsKept follows a kept sandbox: its containers are refused after a restart of the
// plugin and of the runtime too, it is attached when the reason is gone, and it ends as any other.
func TestARefusedPodThatIsKept(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.name, n.its = "containerd", "2.1.9"
	r := n.startRuntime()
	stop := n.servePlugin()
	n.waitFor(r)
	const reason = `berth: berth/networks[0] "later": there is no such network in`
	ns := testnet.Namespace(t)
	web := newPod("web", ns, "later")
	if err := r.RunPodSandbox(t.Context(), podEvent(web)); err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.pods = []*api.PodSandbox{web}
	n.mu.Unlock()

	stop()
	n.servePlugin()
	n.waitFor(r)
	n.expectContainerRefused(r, web, reason)
	if log := n.log.String(); !strings.Contains(log, "it is attached with its first container") || strings.Contains(log, "started without berth") {
		t.Errorf("log:\n%s", log)
	}

	r.Stop()
	n.dieAbruptly()
	r = n.startRuntime()
	n.waitFor(r)
	n.expectContainerRefused(r, web, reason)

	n.Write("networks.d/later.toml", strings.ReplaceAll(doortest.LAN, "192.0.2.", "203.0.113."))
	if _, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: newContainer("c1", "web", 0)}); err != nil {
		t.Fatal(err)
	}
	n.attachment("web")
	testnet.Run(t, ns, "ip", "link", "show", "net1")
	if err := r.StopPodSandbox(t.Context(), podEvent(web)); err != nil {
		t.Fatal(err)
	}
	if got := n.Records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	n.expectContainerRefused(r, newPod("next", testnet.Namespace(t), "lam"), "no such network")
}
