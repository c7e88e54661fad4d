package etcd

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// filesOf returns the certificate files of a node, with the CA of an authority.
func filesOf(node string, by, ca *testnet.Authority) Certificates {
	return Certificates{CA: ca.Path("ca.pem"), Cert: by.Path(node + ".pem"), Key: by.Path(node + ".key")}
}

func openTLS(t *testing.T, url string, files Certificates) *Store {
	t.Helper()
	s, err := Open(Config{Endpoints: []string{url}, Certificates: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// mustAnswer waits until etcd answers.
func (s *Store) mustAnswer(t *testing.T) {
	t.Helper()
	waitFor(t, "an answer", func(ctx context.Context) error { _, err := s.List(ctx, "node/"); return err })
}

// mustRefuse waits until a request fails with all texts.
func (s *Store) mustRefuse(t *testing.T, all ...string) {
	t.Helper()
	within := 200 * time.Millisecond // the client tries again until then
	waitFor(t, fmt.Sprintf("refusal with %q", all), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		within *= 2
		_, err := s.List(ctx, "node/")
		for _, want := range all {
			if err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Errorf("the error is %v", err)
			}
		}
		return nil
	})
}

// TestRefusedCertificates checks the cause and the remedy of each refusal: a server of another
// CA or with another name, a node of another CA, an expired certificate of either.
func TestRefusedCertificates(t *testing.T) {
	t.Parallel()
	ours, foreign := testnet.NewAuthority(t), testnet.NewAuthority(t)
	ours.IssueAll(t, "node")
	foreign.IssueAll(t, "node")
	past := time.Now().Add(-time.Minute)
	ours.Issue(t, "expired", &x509.Certificate{ExtKeyUsage: testnet.BothUsages, NotAfter: past})
	server := ours.StartTLS(t)
	openTLS(t, server.URL, filesOf("node", ours, ours)).mustAnswer(t)
	for _, c := range []struct {
		files Certificates
		want  []string
	}{
		{filesOf("node", ours, foreign), []string{"unknown authority", "this node refuses etcd's certificate", foreign.Path("ca.pem")}},
		{filesOf("node", foreign, ours), []string{"etcd refuses this node's certificate", foreign.Path("node.pem"), "let the CA that etcd trusts issue it"}},
		{filesOf("expired", ours, ours), []string{"has expired on " + past.UTC().Format(time.DateTime), "renew it"}},
	} {
		openTLS(t, server.URL, c.files).mustRefuse(t, c.want...)
	}
	name := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	openTLS(t, name, filesOf("node", ours, ours)).mustRefuse(t, "must be valid, name the host of the URL")
	ours.Issue(t, "server", &x509.Certificate{ExtKeyUsage: testnet.BothUsages, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: past})
	openTLS(t, ours.StartTLS(t).URL, filesOf("node", ours, ours)).mustRefuse(t, "certificate has expired")
}

// TestRenewCertificates checks that a node uses its new certificate and a new CA without a
// restart, that it goes on with the old ones if the new files cannot be used, and that a store
// without certificates begins to work when they are written.
func TestRenewCertificates(t *testing.T) {
	t.Parallel()
	old, next := testnet.NewAuthority(t), testnet.NewAuthority(t)
	old.IssueAll(t, "node")
	server, dir := old.StartTLS(t), &testnet.Authority{Dir: t.TempDir()}
	s := openTLS(t, server.URL, filesOf("node", dir, dir))
	s.mustRefuse(t, "read etcd's CA certificate")
	renew := func(renewed bool, want string) {
		t.Helper()
		if got, err := s.Renew(); got != renewed || (err == nil) != (want == "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("Renew = %t, %v, want %t and %q", got, err, renewed, want)
		}
	}
	dir.Copy(t, old, "ca.pem", "node.pem", "node.key")
	renew(false, "") // the first
	s.mustAnswer(t)
	renew(false, "")

	next.IssueAll(t, "node")
	dir.Copy(t, next, "node.pem")
	renew(false, "write both files of one pair")
	s.mustAnswer(t)
	dir.Copy(t, next, "node.key", "ca.pem")
	renew(true, "")
	s.mustRefuse(t, "this node refuses etcd's certificate")
	openTLS(t, next.StartTLS(t).URL, filesOf("node", dir, dir)).mustAnswer(t)
	if err := os.WriteFile(dir.Path("ca.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	renew(false, "has no certificate in PEM")
}

// TestConfiguration checks the refusals of endpoints.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ endpoint, want string }{
		{"192.0.2.10:2379", "want a URL"}, {"https://192.0.2.10:2379", "certificates are needed"}, {"ftp://192.0.2.10", "want a URL"},
	} {
		if _, err := Open(Config{Endpoints: []string{c.endpoint}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Open(%q) = %v, want %q", c.endpoint, err, c.want)
		}
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("Open without endpoints succeeds")
	}
}

// A certificate's file that is a FIFO would hold the agent at its start, and a device without an end would
// fill its memory.
func TestCertificatesAreRegularFiles(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero"} {
		_, _, err := Certificates{CA: path, Cert: path, Key: path}.load()
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: error %v", path, err)
		}
	}
}
