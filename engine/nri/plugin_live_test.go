package nri

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"

	"berth/engine/doortest"
	"berth/internal/testnet"
	"berth/network"
)

func TestAPodIsAttachedAndReleased(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	ns := testnet.Namespace(t)
	web := newPod("sandbox1", ns, "lan")
	web.Annotations["io.kubernetes.cri.sandbox-name"] = "forged"
	if err := r.RunPodSandbox(t.Context(), podEvent(web)); err != nil {
		t.Fatal(err)
	}
	if got := testnet.Run(t, ns, "ip", "-o", "-4", "addr", "show", "net1"); !strings.Contains(got, "192.0.2.2/24") {
		t.Errorf("address: %s", got)
	}
	a := n.attachment("sandbox1")
	names := map[string]string{podName: "web", podNamespace: "prod-a", podUID: "uid-sandbox1"}
	if len(a.Annotations) != len(names) {
		t.Errorf("names %v, want %v", a.Annotations, names)
	}
	for key, want := range names {
		if a.Annotations[key] != want {
			t.Errorf("%s is %q, want %q", key, a.Annotations[key], want)
		}
	}
	created, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: web, Container: &api.Container{Id: "c1", Name: "app"}})
	if err != nil {
		t.Fatal(err)
	}
	var status []map[string]any
	if err := json.Unmarshal([]byte(created.GetAdjust().GetAnnotations()[StatusAnnotation]), &status); err != nil || len(status) != 1 {
		t.Fatalf("status %v, %v", created, err)
	}
	for key, want := range map[string]any{"name": "lan", "interface": "net1", "mac": a.MAC.String(), "mtu": 1500.} {
		if status[0][key] != want {
			t.Errorf("status has %s %v, want %v", key, status[0][key], want)
		}
	}
	if ips, _ := status[0]["ips"].([]any); len(ips) != 1 || ips[0] != "192.0.2.2" {
		t.Errorf("status has ips %v", status[0]["ips"])
	}
	for _, end := range []func(context.Context, *api.StateChangeEvent) error{r.StopPodSandbox, r.StopPodSandbox, r.RemovePodSandbox} {
		if err := end(t.Context(), podEvent(web)); err != nil {
			t.Fatal(err)
		}
		if got := n.Records(); got != "" {
			t.Errorf("left behind:\n%s", got)
		}
	}
	if got := testnet.Run(t, ns, "ip", "-o", "link", "show", "type", "macvlan"); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// TestOtherPodsAreLeftAlone requires that a pod without annotations of berth's is left
// alone, whatever the state of berth's files.
func TestOtherPodsAreLeftAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Write("berth.toml", "broken = ")
	r := n.connectBoth()
	ns := testnet.Namespace(t)
	other := newPod("other", ns, "")
	if err := r.RunPodSandbox(t.Context(), podEvent(other)); err != nil {
		t.Error(err)
	}
	created, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: other, Container: &api.Container{Id: "c1"}})
	if err != nil || len(created.GetAdjust().GetAnnotations()) > 0 {
		t.Errorf("%v, %v", created, err)
	}
	if err := r.StopPodSandbox(t.Context(), podEvent(other)); err != nil {
		t.Error(err)
	}
}

func TestAPodThatIsRefused(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Write("networks.d/prod.toml", "namespaces = ['prod-*']\n"+doortest.LAN)
	r := n.connectBoth()
	for name, c := range map[string]struct {
		change func(*api.PodSandbox)
		want   string
	}{
		"unknown network": {func(p *api.PodSandbox) { p.Annotations["berth/networks"] = "lan,nolan" }, `berth: berth/networks[1] "nolan": there is no such network in`},
		"policy":          {func(p *api.PodSandbox) { p.Annotations["berth/networks"] = `[{"name":"lan","ips":["192.0.2.9"]}]` }, "static_ips"},
		"unknown key":     {func(p *api.PodSandbox) { p.Annotations["berth/vlan"] = "5" }, `annotation "berth/vlan": want berth/networks`},
		"another namespace": {func(p *api.PodSandbox) {
			p.Namespace, p.Annotations["berth/networks"] = "dev", "prod"
		}, `berth/networks[0].network "prod": the namespace "dev" may not use it; its file has namespaces = ["prod-*"]`},
		"a namespace that it invents": {func(p *api.PodSandbox) {
			p.Namespace, p.Annotations["berth/networks"] = "dev", "prod"
			p.Annotations["io.kubernetes.pod.namespace"] = "prod-a"
			p.Annotations["io.kubernetes.cri.sandbox-namespace"] = "prod-a"
		}, `the namespace "dev" may not use it`},
		"the host's network": {func(p *api.PodSandbox) { p.Linux = nil }, `pod "prod-a/web" has no network namespace of its own; remove hostNetwork`},
		"the host's namespace": {func(p *api.PodSandbox) {
			p.Linux.Namespaces[1].Path, p.Pid = "", uint32(testnet.Process(t, testnet.Here(t)).Pid)
		}, "is in the host's network namespace"},
	} {
		p := newPod("refused", testnet.Namespace(t), "lan")
		c.change(p)
		err := r.RunPodSandbox(t.Context(), podEvent(p))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error\n     %v\nwant %s", name, err, c.want)
		}
		if got := n.Records(); got != "" {
			t.Errorf("%s: left behind:\n%s", name, got)
		}
	}
	good := newPod("good", testnet.Namespace(t), "prod") // the plugin still runs
	if err := r.RunPodSandbox(t.Context(), podEvent(good)); err != nil {
		t.Error(err)
	}
	n.attachment("good")
}

func TestNamespaceByProcessOnly(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	ns := testnet.Namespace(t)
	p := newPod("spoofed", nil, "lan")
	p.Pid = uint32(testnet.Process(t, ns).Pid)
	if err := r.RunPodSandbox(t.Context(), podEvent(p)); err != nil {
		t.Fatal(err)
	}
	testnet.Run(t, ns, "ip", "link", "show", "net1")
}

// TestARefusalComesInTime requires that a slow request is refused while the runtime still
// waits: otherwise it would close the plugin and start the pod without its interface.
func TestARefusalComesInTime(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := n.connectBoth()
	p := newPod("slow", testnet.Namespace(t), "lan")
	unlock := n.keepOut(p)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	err := r.RunPodSandbox(ctx, podEvent(p))
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "the container runtime's plugin_request_timeout leaves") {
		t.Errorf("error %v, of the time: %v", err, ctx.Err())
	}
	if got := n.Records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	unlock()
	if err := r.RunPodSandbox(t.Context(), podEvent(p)); err != nil { // the runtime has not closed the plugin
		t.Fatal(err)
	}
	n.attachment("slow")
}

// keepOut keeps every hook from working in a pod's namespace.
func (n *node) keepOut(p *api.PodSandbox) (unlock func()) {
	n.Helper()
	ns, err := network.OpenPath(p.Linux.Namespaces[1].Path)
	if err != nil {
		n.Fatal(err)
	}
	defer ns.Close()
	cookie, err := ns.Cookie()
	if err != nil {
		n.Fatal(err)
	}
	unlock, err = n.Store.Hold(n.Context(), fmt.Sprintf("namespace %016x", cookie))
	if err != nil {
		n.Fatal(err)
	}
	return unlock
}

// TestTheEndWaitsForAnAnswer requires that the plugin finishes its request before it ends,
// and the runtime gets the answer.
func TestTheEndWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	reached, goOn := make(chan bool), make(chan bool)
	n.plugin.Step = func(step string) error {
		if step == "claim" {
			close(reached)
			<-goOn
		}
		return nil
	}
	r := n.startRuntime()
	stop := n.servePlugin()
	n.waitFor(r)
	answer := make(chan error, 1)
	go func() { answer <- r.RunPodSandbox(t.Context(), podEvent(newPod("last", testnet.Namespace(t), "lan"))) }()
	<-reached
	stopped := make(chan bool)
	go func() { stop(); close(stopped) }()
	close(goOn)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	<-stopped
	n.attachment("last")
}
