package pools

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"berth/internal/cluster"
	"berth/internal/testnet"
	"berth/specs"
)

// TestStartWithoutCertificates checks that a node whose files of certificates are gone goes on,
// after a reboot, with the block that its file lists, and reports the
// reason: the files are read again by themselves.
func TestStartWithoutCertificates(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	lib := filepath.Join(t.TempDir(), "lib")
	first := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL}, Directory: lib})
	first.owns("192.0.2.64/29")
	first.stop()
	file, err := cluster.Directory(lib).Load()
	if err != nil || len(file.Held) == 0 {
		t.Fatal(file, err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	again := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{"https://127.0.0.1:9"}, Directory: lib,
		CA: missing, Cert: missing, Key: missing})
	again.owns("192.0.2.64/29")
	again.problem("read etcd's CA certificate: open " + missing + ": no such file or directory")
	if err := os.WriteFile(missing, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	again.problem("has no certificate in PEM; write one")
}

// tlsMember starts etcd and a node "a", each with a directory for its certificates, which a CA issues.
func tlsMember(t *testing.T, by *testnet.Authority) (m *testMember, node, etcd *testnet.Authority, server *testnet.Etcd) {
	t.Helper()
	node, etcd = &testnet.Authority{Dir: t.TempDir()}, &testnet.Authority{Dir: t.TempDir()}
	by.IssueAll(t, "a")
	etcd.Copy(t, by, "ca.pem", "server.pem", "server.key")
	node.Copy(t, by, "ca.pem", "a.pem", "a.key")
	server = etcd.StartTLS(t)
	m = newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL}, CA: node.Path("ca.pem"),
		Cert: node.Path("a.pem"), Key: node.Path("a.key")})
	m.owns("192.0.2.64/29")
	return m, node, etcd, server
}

// TestNewCertificates replaces the certificate of a node that runs. Files that are no pair are refused,
// and the node goes on with the old ones. If etcd refuses the new one, the node keeps its block and
// reports the reason, until it has another one, which it uses without a restart.
func TestNewCertificates(t *testing.T) {
	t.Parallel()
	old, foreign := testnet.NewAuthority(t), testnet.NewAuthority(t)
	m, node, _, _ := tlsMember(t, old)
	foreign.IssueAll(t, "a")
	node.Copy(t, foreign, "a.pem")
	m.steps()
	m.problem("write both files of one pair")
	m.answered()
	failures := m.Metrics().Failures
	node.Copy(t, foreign, "a.key")
	m.steps()
	m.failing()
	if now := m.Metrics().Failures; now <= failures {
		t.Errorf("%d requests have failed, as before", now)
	}
	m.problem("etcd refuses this node's certificate " + strconv.Quote(node.Path("a.pem")))
	m.owns("192.0.2.64/29")
	node.Copy(t, old, "a.pem", "a.key")
	m.answered()
	m.noProblem()
}

// TestNewCA replaces the CA of etcd and of a node by the steps of docs/cluster.md. At the end etcd
// accepts only the node's new certificate.
func TestNewCA(t *testing.T) {
	t.Parallel()
	old, next := testnet.NewAuthority(t), testnet.NewAuthority(t)
	m, node, etcd, server := tlsMember(t, old)
	next.IssueAll(t, "a")
	restart := func() {
		server.Kill()
		server.Start(t, server.URL)
		m.answered()
	}
	writeCAs(t, node, old, next)
	m.steps()
	writeCAs(t, etcd, old, next)
	etcd.Copy(t, next, "server.pem", "server.key")
	restart()
	node.Copy(t, next, "a.pem", "a.key")
	m.steps()
	writeCAs(t, node, next)
	writeCAs(t, etcd, next)
	restart()
	m.noProblem()
	m.owns("192.0.2.64/29")
}

// noProblem waits until the member has no problem.
func (m *testMember) noProblem() {
	m.t.Helper()
	testnet.Eventually(m.t, "no problem is left", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.problems) == 0
	})
}

// writeCAs writes the certificates of CAs to one file.
func writeCAs(t *testing.T, to *testnet.Authority, all ...*testnet.Authority) {
	t.Helper()
	var bundle []byte
	for _, a := range all {
		text, err := os.ReadFile(a.Path("ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		bundle = append(bundle, text...)
	}
	if err := os.WriteFile(to.Path("ca.pem"), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
}

// answered waits until etcd answers the member.
func (m *testMember) answered() {
	m.t.Helper()
	var last string
	defer func() {
		if m.t.Failed() {
			m.t.Logf("the last error is %s", last)
		}
	}()
	testnet.Eventually(m.t, "etcd answers", func() bool {
		s, err := m.Status(m.t.Context())
		last = s.Error
		return err == nil && s.Error == ""
	})
}
