package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// explain adds the cause to the error of a request, and the remedy if the cause is known.
func (s *Store) explain(c *connection, err error) error {
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("%w: etcd's user %q, the common name of this node's certificate, may not use the keys below %q; "+
			"grant it a role that may: etcdctl user grant-role %s berth", err, c.user, s.prefix, c.user)
	}
	cause := c.cause.Load()
	if cause == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s%s", err, shortCause(*cause), s.remedy(*cause, time.Now()))
}

// shortCause removes the words of the layers of the client before a cause.
func shortCause(text string) string {
	for _, layer := range []string{
		"transport: authentication handshake failed: ", "transport: Error while dialing: ", "error reading server preface: ",
	} {
		if _, after, ok := strings.Cut(text, layer); ok {
			return strings.TrimRight(after, `"`)
		}
	}
	return text
}

// remedy returns the remedy for a refused certificate, after a semicolon, or nothing.
func (s *Store) remedy(cause string, now time.Time) string {
	files := s.config.Certificates
	switch {
	case strings.Contains(cause, "remote error: tls:") || strings.Contains(cause, "certificate required"):
		if end := files.Expiry(); now.After(end) && !end.IsZero() {
			return fmt.Sprintf("; this node's certificate %q has expired on %s: renew it", files.Cert,
				end.UTC().Format(time.DateTime))
		}
		return fmt.Sprintf("; etcd refuses this node's certificate %q: let the CA that etcd trusts issue it", files.Cert)
	case strings.Contains(cause, "x509:"):
		return fmt.Sprintf("; this node refuses etcd's certificate: it must be valid, name the host of the URL, "+
			"and be issued by a CA in %q", files.CA)
	}
	return ""
}
