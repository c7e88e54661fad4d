package specs

import (
	"slices"
	"strings"
	"testing"
)

func TestAgentConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`max_endpoints = 0`:                                            `agent.max_endpoints "0": want 1 to 65536`,
		`max_endpoints = 65537`:                                        `agent.max_endpoints "65537": want 1 to 65536`,
		`attach = "xdp"`:                                               `agent.attach "xdp": want auto, tcx or clsact`,
		`containerd = ["containerd.sock"]`:                             `agent.containerd[0] "containerd.sock": want the absolute path of a socket`,
		`containerd_namespaces = ["moby", "[a"]`:                       `agent.containerd_namespaces[1] "[a": want`,
		`docker = "docker"`:                                            `agent.docker "docker": want the absolute path of a directory, or "" for none`,
		`podman = "./storage"`:                                         `agent.podman "./storage": want the absolute path of a directory, or "" for none`,
		`metrics_labels = ["container_id", "network"]`:                 `agent.metrics_labels "container_id, network": want a list with container_id and interface in it`,
		`metrics_labels = ["container_id", "interface", "ip"]`:         `agent.metrics_labels[2] "ip": want one of container_id, interface, network, parent, name, image, pod, namespace, mac, driver, mode, or label:KEY`,
		`metrics_labels = ["container_id", "interface", "label:"]`:     `agent.metrics_labels[2] "label:": want one of`,
		`metrics_info = ["name", "name"]`:                              `agent.metrics_info[1] "name": this label is in the list twice`,
		`metrics_info = ["label:a.b", "label:a-b"]`:                    `agent.metrics_info[1] "label:a-b": this label is in the list twice`,
		`metrics_max_endpoints = -1`:                                   `agent.metrics_max_endpoints "-1": want 0 to 65536`,
		`metrics_max_endpoints = 65537`:                                `agent.metrics_max_endpoints "65537": want 0 to 65536`,
		`otlp = "127.0.0.1:4318"`:                                      `agent.otlp "127.0.0.1:4318": want a URL as http://127.0.0.1:4318, or "" for none`,
		`otlp = "grpc://127.0.0.1:4317"`:                               `agent.otlp "grpc://127.0.0.1:4317": want a URL`,
		`otlp_interval = "100ms"`:                                      `agent.otlp_interval "100ms": want 1s to 1h`,
		`otlp_interval = "2h"`:                                         `agent.otlp_interval "2h0m0s": want 1s to 1h`,
		`events_file = "events.jsonl"`:                                 `agent.events_file "events.jsonl": want the absolute path of a file, or "" for none`,
		`events_file_mb = 0`:                                           `agent.events_file_mb "0": want 1 to 10000 megabytes`,
		`events_file_keep = 101`:                                       `agent.events_file_keep "101": want 0 to 100 files`,
		`containerd = [` + strings.Repeat(`"/run/c.sock", `, 17) + `]`: `agent.containerd "17": want at most 16 sockets`,
		`metrics_info = [` + strings.Repeat(`"name", `, 33) + `]`:      `agent.metrics_info "33": want at most 32 labels`,
	} {
		_, err := DecodeConfig([]byte("[agent]\n" + text + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error\n     %v\nwant %s", text, err, want)
		}
	}
}

// A configured list replaces the default; it is not added to it.
func TestAgentConfigLists(t *testing.T) {
	c, err := DecodeConfig([]byte("[agent]\ncontainerd = []\nmetrics_labels = ['interface', 'container_id', 'label:app.kubernetes.io/name']\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Agent.Containerd) != 0 {
		t.Errorf("containerd %q, want none", c.Agent.Containerd)
	}
	if want := []string{"interface", "container_id", "label:app.kubernetes.io/name"}; !slices.Equal(c.Agent.MetricsLabels, want) {
		t.Errorf("metrics_labels %q, want %q", c.Agent.MetricsLabels, want)
	}
	if got := MetricLabel(c.Agent.MetricsLabels[2]); got != "label_app_kubernetes_io_name" {
		t.Errorf("the label is shown as %q", got)
	}
	if !slices.Equal(c.Agent.ContainerdNamespaces, []string{"*"}) {
		t.Errorf("containerd_namespaces %q, want the default", c.Agent.ContainerdNamespaces)
	}
}
