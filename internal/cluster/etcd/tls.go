package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS returns the configuration of mutual TLS: the CA of the servers, and this node's
// certificate and key.
func TLS(ca, cert, key string) (*tls.Config, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read etcd's CA certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("etcd's CA certificate %q has no certificate in PEM", ca)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read this node's certificate %q and key %q: %w", cert, key, err)
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
