package pools

import (
	"os"
	"path/filepath"
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
