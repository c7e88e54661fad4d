package pools

import (
	"context"
	"errors"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestContact checks that only an answer of etcd counts as its answer: not a step of the loop that
// needs none, and not a request of a person that the person has cancelled.
func TestContact(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	m := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL}})
	m.owns("192.0.2.64/29")
	testnet.Eventually(t, "no request is under way", func() bool { m.steps(); return !m.failed() })
	was, cancelled := m.Metrics(), m.cancelledStatus()
	if now := m.Metrics(); cancelled != nil || now.Failures != was.Failures || m.failed() {
		t.Errorf("a cancelled request: %v, and %d failures after %d", cancelled, now.Failures, was.Failures)
	}
	server.Kill()
	m.failing()
	at := m.Metrics().Contact
	m.steps()
	if now := m.Metrics().Contact; now != at || !m.failed() {
		t.Errorf("etcd is dead, and has answered at %s and %s", at, now)
	}
	server.Start(t, server.URL)
	testnet.Eventually(t, "an answer counts", func() bool { return !m.failed() && m.Metrics().Contact.After(at) })
}

// cancelledStatus reads the status as a person who gives up at once.
func (m *testMember) cancelledStatus() error {
	ctx, cancel := context.WithCancel(m.t.Context())
	cancel()
	_, err := m.Status(ctx)
	return err
}

// failing waits until a request of the member has failed, and its status has the reason.
func (m *testMember) failing() {
	m.t.Helper()
	testnet.Eventually(m.t, "etcd does not answer", func() bool {
		s, err := m.Status(m.t.Context())
		return err == nil && strings.Contains(s.Error, "etcd has not answered since") && m.failed()
	})
}

// TestExplain checks that an error of this machine is not reported as one of etcd.
func TestExplain(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	full := errors.New("no space left on device")
	if got := m.explain(full); got != full {
		t.Errorf("the error is %v", got)
	}
	got := m.explain(requestError{context.DeadlineExceeded})
	if got == nil || got.Error() != "etcd has not answered since berthd was started (no answer in time); "+
		"this node goes on with the addresses that it has" {
		t.Errorf("the error is %v", got)
	}
}
