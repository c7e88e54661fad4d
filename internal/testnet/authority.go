package testnet

import (
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
	"testing"
	"time"
)

// Authority is a CA of a test, with its files in a directory.
type Authority struct {
	Dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority returns a new CA, with its certificate in ca.pem.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{Dir: t.TempDir()}
	a.cert, a.key = a.Issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	return a
}

// Issue writes NAME.pem and NAME.key. The CA signs itself.
func (a *Authority) Issue(t testing.TB, name string, template *x509.Certificate,
) (*x509.Certificate, *ecdsa.PrivateKey) {
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

func (a *Authority) write(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.Path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Copy writes the files of another authority below the same names.
func (a *Authority) Copy(t testing.TB, from *Authority, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(from.Path(name))
		if err == nil {
			err = os.WriteFile(a.Path(name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Path returns the path of a file.
func (a *Authority) Path(name string) string { return filepath.Join(a.Dir, name) }

// BothUsages are the usages of a certificate of a test.
var BothUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

// IssueAll issues certificates for a server on loopback and for nodes.
func (a *Authority) IssueAll(t testing.TB, nodes ...string) {
	t.Helper()
	a.Issue(t, "server", &x509.Certificate{ExtKeyUsage: BothUsages, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for _, node := range nodes {
		a.Issue(t, node, &x509.Certificate{ExtKeyUsage: BothUsages})
	}
}

// StartTLS starts a member of etcd with the certificate "server" of the CA, which asks for those of its
// clients. It reads the file at each connection, and at its start the CAs of clients in ca.pem.
func (a *Authority) StartTLS(t testing.TB) *Etcd {
	t.Helper()
	return StartEtcd(t, 1, "--client-cert-auth", "--trusted-ca-file", a.Path("ca.pem"),
		"--cert-file", a.Path("server.pem"), "--key-file", a.Path("server.key"))[0]
}
