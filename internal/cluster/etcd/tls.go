package etcd

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"berth/internal/regular"
)

// Certificates are the files of mutual TLS: the CA of the servers, and this node's certificate
// and key. They may be replaced at any time.
type Certificates struct{ CA, Cert, Key string }

// maxCertificates bounds the bytes of a file of certificates: a CA's may have those of a whole system.
const maxCertificates = 1 << 20

// load reads the files, and returns a digest of their content. It returns nothing if none is set.
func (c Certificates) load() (digest string, _ *tls.Config, err error) {
	if c == (Certificates{}) {
		return "", nil, nil
	}
	sum, texts := sha256.New(), [][]byte{}
	for _, f := range []struct{ kind, path string }{
		{"etcd's CA certificate", c.CA}, {"this node's certificate", c.Cert}, {"this node's key", c.Key},
	} {
		text, err := regular.Read(f.path, maxCertificates)
		if err != nil {
			return "", nil, fmt.Errorf("read %s: %w; see ca, cert and key below [cluster] in berth.toml", f.kind, err)
		}
		texts = append(texts, text)
		fmt.Fprintf(sum, "%d\n%s", len(text), text)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(texts[0]) {
		return "", nil, fmt.Errorf("etcd's CA certificate %q has no certificate in PEM; write one", c.CA)
	}
	pair, err := tls.X509KeyPair(texts[1], texts[2])
	if err != nil {
		return "", nil, fmt.Errorf("use this node's certificate %q and key %q: %w; write both files of one pair",
			c.Cert, c.Key, err)
	}
	return string(sum.Sum(nil)), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair},
		MinVersion: tls.VersionTLS12}, nil
}

// Expiry returns the end of the node's certificate, or the zero time if there is none that can
// be read.
func (c Certificates) Expiry() time.Time {
	_, config, err := c.load()
	if err != nil || config == nil {
		return time.Time{}
	}
	return config.Certificates[0].Leaf.NotAfter
}
