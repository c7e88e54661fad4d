package web

import (
	"os"
	"path/filepath"
	"testing"

	"berth/agent/client"
	"berth/specs"
)

const checkText = `[{"subject": "host", "check": "podman", "result": "warn", "message": "it ignores berth", "remedy": "do"}]`

// TestChecksOfTheHost reads the results in the directory of the agent's socket for views, and
// in that which systemd binds over the state directory.
func TestChecksOfTheHost(t *testing.T) {
	t.Parallel()
	for _, below := range []string{"", client.ViewDir} {
		dir := t.TempDir()
		if c, err := NewAgentSource(dir).Checks(); c != nil || err != nil {
			t.Errorf("without a file: %+v, %v", c, err)
		}
		file := filepath.Join(dir, below, client.CheckFile)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		writeText(t, file, checkText)
		c, err := NewAgentSource(dir).Checks()
		if err != nil || len(c.Lines) != 1 || c.Lines[0].Result != specs.CheckWarn || c.Time.IsZero() {
			t.Errorf("%q: %+v, %v", below, c, err)
		}
		writeText(t, file, checkText[:20])
		if c, err := NewAgentSource(dir).Checks(); err == nil {
			t.Errorf("half a file: %+v, want an error", c)
		}
	}
}

func writeText(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestChecksAndClusterAreSent requires that a viewer receives both, and that a cluster which
// the machine has left is taken back.
func TestChecksAndClusterAreSent(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	f.checks = &Checks{Time: begun, Lines: []specs.CheckLine{{Subject: "host", Check: "podman"}}}
	f.cluster = &specs.ClusterStatus{ID: "0a", Node: "one", Nodes: []specs.ClusterNode{{Name: "one"}}, Attachments: []specs.ClusterAttachment{{}}}
	h := NewHub(f)
	h.readFacts(t.Context(), true)
	h.takeSample(t.Context())
	m := h.view.Full(nil)
	if m.Checks == nil || m.Checks.Lines[0].Check != "podman" || m.Cluster == nil || len(m.Cluster.Nodes) != 1 || m.Cluster.Attachments != nil {
		t.Fatalf("checks %+v, cluster %+v", m.Checks, m.Cluster)
	}
	before := h.view
	f.cluster = nil
	h.readFacts(t.Context(), true)
	h.takeSample(t.Context())
	if m, _ := h.view.Since(before); m.Checks != nil || m.Cluster == nil || m.Cluster.ID != "" {
		t.Errorf("after the machine left the cluster: checks %+v, cluster %+v; want an empty cluster alone", m.Checks, m.Cluster)
	}
}
