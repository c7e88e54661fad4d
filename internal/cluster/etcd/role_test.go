package etcd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// roleCommands returns the commands of docs/cluster.md that give berth a role of its own, which
// begin with etcdctl and have no variable part.
func roleCommands(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "# etcdctl "); ok && !strings.Contains(command, "snapshot") {
			all = append(all, command)
		}
	}
	if len(all) < 5 {
		t.Fatalf("docs/cluster.md has %d commands of etcdctl: %q", len(all), all)
	}
	return all
}

// TestRole runs the commands of docs/cluster.md on etcd. A node then reads and changes berth's
// keys, watches them and keeps its presence, but has no access to others, and a node without a
// user or the role is told the remedy.
func TestRole(t *testing.T) {
	t.Parallel()
	a := testnet.NewAuthority(t)
	a.IssueAll(t, "root", "rack1", "rack2")
	server := a.StartTLS(t)
	s := openTLS(t, server.URL, filesOf("rack1", a, a))
	s.mustAnswer(t)
	run := func(command string) {
		t.Helper()
		cmd := exec.Command(testnet.Program(t, "etcdctl"), append(strings.Fields(command), "--endpoints", server.URL,
			"--cacert", a.Path("ca.pem"), "--cert", a.Path("root.pem"), "--key", a.Path("root.key"))...)
		cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("etcdctl %s: %v\n%s", command, err, out)
		}
	}
	for _, command := range roleCommands(t) {
		run(command)
	}
	s.mustAnswer(t)
	if _, err := s.Swap(t.Context(), put("domain/d/pool", "x", 0)); err != nil {
		t.Error(err)
	}
	waitFor(t, "presence", func(ctx context.Context) error {
		go s.Present(ctx, "alive/a", []byte("x"))
		got, err := s.List(ctx, "")
		if err == nil && len(got.Entries) != 2 {
			err = fmt.Errorf("the keys are %v", got.Entries)
		}
		return err
	})
	other, err := Open(Config{Endpoints: []string{server.URL}, Certificates: filesOf("rack1", a, a), Prefix: "/other/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	other.mustRefuse(t, `"rack1", the common name of this node's certificate, may not use the keys below "/other/"`)
	stranger := openTLS(t, server.URL, filesOf("rack2", a, a))
	stranger.mustRefuse(t, "etcdctl user grant-role rack2 berth")
	run("user add rack2 --no-password")
	stranger.mustRefuse(t, "etcdctl user grant-role rack2 berth")
	run("user grant-role rack2 berth")
	stranger.mustAnswer(t)
}
