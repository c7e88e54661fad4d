package pools

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// slowLink passes connections on to etcd, and holds each part of an answer back for a time.
type slowLink struct {
	url    string
	hold   atomic.Int64
	passed atomic.Int64 // the number of parts
}

// newSlowLink returns a link to a member, at a free address of loopback.
func newSlowLink(t *testing.T, to *testnet.Etcd, hold time.Duration) *slowLink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &slowLink{url: "http://" + l.Addr().String()}
	s.hold.Store(int64(hold))
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.pass(client, strings.TrimPrefix(to.URL, "http://"))
		}
	}()
	return s
}

// pass passes one connection on until either side closes it.
func (s *slowLink) pass(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	type part struct {
		bytes []byte
		at    time.Time
	}
	parts := make(chan part, 1024)
	go func() {
		defer close(parts)
		for {
			b := make([]byte, 32<<10)
			n, err := upstream.Read(b)
			if err != nil {
				return
			}
			parts <- part{b[:n], time.Now().Add(time.Duration(s.hold.Load()))}
		}
	}()
	for p := range parts {
		<-time.After(time.Until(p.at))
		if _, err := client.Write(p.bytes); err != nil {
			return
		}
		s.passed.Add(1)
	}
}

// TestSlowEtcd has a node whose etcd answers after a second, so that no round has time for all of its
// requests: it gets its block, and gives it to another node when its network is removed. While etcd
// answers later than the node waits, the node reports that, and keeps its block.
func TestSlowEtcd(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	link := newSlowLink(t, server, time.Second)
	a := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{link.url}})
	a.owns("192.0.2.64/29")
	link.hold.Store(int64(askWithin + time.Second))
	a.Wake()
	a.failing()
	a.owns("192.0.2.64/29")
	link.hold.Store(int64(time.Second))
	b := newTestMember(t, "b", specs.ClusterConfig{Etcd: []string{server.URL}})
	b.problem("every block of domain")
	if err := os.Remove(filepath.Join(a.dir, "networks.d", "lan.toml")); err != nil {
		t.Fatal(err)
	}
	a.Wake()
	b.owns("192.0.2.64/29")
}

// TestSilentMember has a node whose connection to one of two members is cut without a sign, so that each
// second request gets no answer there. The node's reads come back from the other in time, but for a
// few on a busy machine.
func TestSilentMember(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	link := newSlowLink(t, server, 0)
	a := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL, link.url}})
	a.owns("192.0.2.64/29")
	testnet.Eventually(t, "both members are connected", func() bool { return link.passed.Load() > 0 })
	link.hold.Store(int64(time.Hour))
	late := 0
	for range 12 {
		if s, err := a.Status(t.Context()); err != nil || s.Error != "" || len(s.Nodes) != 1 {
			t.Logf("etcd is reported as %+v, %v, want an answer of the other member", s, err)
			late++
		}
	}
	if late > 3 { // half of them if a read waits for the silent member alone
		t.Errorf("%d of 12 reads got no answer in time", late)
	}
}
