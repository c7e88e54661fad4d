package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
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
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
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

// TestMutualTLS checks that etcd answers a node with a certificate of its CA, that it
// refuses one of another CA, and that the node refuses a server of another CA.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t), newAuthority(t)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, a := range []*authority{ours, foreign} {
		a.issue(t, "server", &x509.Certificate{ExtKeyUsage: both, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
		a.issue(t, "node", &x509.Certificate{ExtKeyUsage: both})
	}
	members := testnet.StartEtcd(t, 1, "--client-cert-auth", "--trusted-ca-file", ours.path("ca.pem"),
		"--cert-file", ours.path("server.pem"), "--key-file", ours.path("server.key"))
	good := openTLS(t, members[0].URL, ours, ours)
	waitFor(t, "an answer to the node's certificate", func(ctx context.Context) error { _, err := good.List(ctx, "a"); return err })
	for _, c := range []struct {
		name     string
		ca, node *authority
	}{
		{"a server of another CA", foreign, ours}, {"a node of another CA", ours, foreign},
	} {
		s := openTLS(t, members[0].URL, c.ca, c.node)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if _, err := s.List(ctx, "a"); err == nil {
			t.Errorf("%s is accepted", c.name)
		}
		cancel()
	}
}

func openTLS(t *testing.T, url string, ca, node *authority) *Store {
	t.Helper()
	config, err := TLS(ca.path("ca.pem"), node.path("node.pem"), node.path("node.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{Endpoints: []string{url}, TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestConfiguration checks the refusals of endpoints and certificate files.
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
	a := newAuthority(t)
	if _, err := TLS(a.path("ca.key"), a.path("ca.pem"), a.path("ca.key")); err == nil || !strings.Contains(err.Error(), "no certificate in PEM") {
		t.Errorf("TLS with a key as CA: %v", err)
	}
	if _, err := TLS(a.path("ca.pem"), a.path("ca.pem"), a.path("missing")); err == nil {
		t.Error("TLS without a key succeeds")
	}
}
