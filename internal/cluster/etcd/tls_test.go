package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
)

// authority is a CA of a test, with its files in a directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes NAME.pem and NAME.key. The CA signs itself.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", der)
	a.write(t, name+".key", "PRIVATE KEY", private)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// both are the usages of a certificate of a test.
var both = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

// issueAll issues certificates for a server on loopback and for nodes.
func (a *authority) issueAll(t *testing.T, nodes ...string) {
	t.Helper()
	a.issue(t, "server", &x509.Certificate{ExtKeyUsage: both, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for _, node := range nodes {
		a.issue(t, node, &x509.Certificate{ExtKeyUsage: both})
	}
}

// startTLS starts etcd with a certificate of its own, which asks for those of its clients.
func startTLS(t *testing.T, a *authority) *testnet.Etcd {
	t.Helper()
	return testnet.StartEtcd(t, 1, "--client-cert-auth", "--trusted-ca-file", a.path("ca.pem"),
		"--cert-file", a.path("server.pem"), "--key-file", a.path("server.key"))[0]
}

// files returns the certificate files of a node, with the CA of an authority.
func (a *authority) files(ca *authority, node string) Certificates {
	return Certificates{CA: ca.path("ca.pem"), Cert: a.path(node + ".pem"), Key: a.path(node + ".key")}
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
	ours, foreign := newAuthority(t), newAuthority(t)
	ours.issueAll(t, "node")
	foreign.issueAll(t, "node")
	past := time.Now().Add(-time.Minute)
	ours.issue(t, "expired", &x509.Certificate{ExtKeyUsage: both, NotAfter: past})
	server := startTLS(t, ours)
	openTLS(t, server.URL, ours.files(ours, "node")).mustAnswer(t)
	for _, c := range []struct {
		files Certificates
		want  []string
	}{
		{ours.files(foreign, "node"), []string{"unknown authority", "this node refuses etcd's certificate", foreign.path("ca.pem")}},
		{foreign.files(ours, "node"), []string{"etcd refuses this node's certificate", foreign.path("node.pem"), "let the CA that etcd trusts issue it"}},
		{ours.files(ours, "expired"), []string{"has expired on " + past.UTC().Format(time.DateTime), "renew it"}},
	} {
		openTLS(t, server.URL, c.files).mustRefuse(t, c.want...)
	}
	name := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	openTLS(t, name, ours.files(ours, "node")).mustRefuse(t, "must be valid, name the host of the URL")
	ours.issue(t, "server", &x509.Certificate{ExtKeyUsage: both, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: past})
	openTLS(t, startTLS(t, ours).URL, ours.files(ours, "node")).mustRefuse(t, "certificate has expired")
}

// TestRenewCertificates checks that a node uses its new certificate and a new CA without a
// restart, that it goes on with the old ones if the new files cannot be used, and that a store
// without certificates begins to work when they are written.
func TestRenewCertificates(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t), newAuthority(t)
	old.issueAll(t, "node")
	server, dir := startTLS(t, old), &authority{dir: t.TempDir()}
	s := openTLS(t, server.URL, dir.files(dir, "node"))
	s.mustRefuse(t, "read etcd's CA certificate")
	replace := func(name string, from *authority) {
		t.Helper()
		text, err := os.ReadFile(from.path(name))
		if err == nil {
			err = os.WriteFile(dir.path(name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	renew := func(renewed bool, want string) {
		t.Helper()
		if got, err := s.Renew(); got != renewed || (err == nil) != (want == "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("Renew = %t, %v, want %t and %q", got, err, renewed, want)
		}
	}
	for _, name := range []string{"ca.pem", "node.pem", "node.key"} {
		replace(name, old)
	}
	renew(false, "") // the first
	s.mustAnswer(t)
	renew(false, "")

	next.issueAll(t, "node")
	replace("node.pem", next)
	renew(false, "write both files of one pair")
	s.mustAnswer(t)
	replace("node.key", next)
	replace("ca.pem", next)
	renew(true, "")
	s.mustRefuse(t, "this node refuses etcd's certificate")
	openTLS(t, startTLS(t, next).URL, dir.files(dir, "node")).mustAnswer(t)
	if err := os.WriteFile(dir.path("ca.pem"), nil, 0o600); err != nil {
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
