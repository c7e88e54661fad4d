package pools

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// oneBlock is a pool with a single block.
const oneBlock = `parent = "eth0"
ipam = "cluster"
domain = "lan-hq"
[[subnet]]
subnet = "192.0.2.0/24"
ip_range = "192.0.2.64/29"
`

// testMember is a Member of a test, with a directory of its own.
type testMember struct {
	*Member
	t    *testing.T
	dir  string
	stop func()

	mu       sync.Mutex
	problems map[string]error
}

// newTestMember starts a member that looks at etcd by itself once an hour, after its first round.
func newTestMember(t *testing.T, name string, c specs.ClusterConfig) *testMember {
	t.Helper()
	dir := t.TempDir()
	networks := filepath.Join(dir, "networks.d")
	if err := os.MkdirAll(networks, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(networks, "lan.toml"), []byte(oneBlock), 0o600); err != nil {
		t.Fatal(err)
	}
	return startMember(t, name, c, dir)
}

// startMember starts a member with the configuration in a directory.
func startMember(t *testing.T, name string, c specs.ClusterConfig, dir string) *testMember {
	t.Helper()
	m := &testMember{t: t, dir: dir, problems: map[string]error{}}
	c.Node, c.Directory = name, cmp.Or(c.Directory, filepath.Join(m.dir, "lib"))
	m.Member = New(Options{Config: c, ConfigDir: m.dir, Store: state.Open(filepath.Join(m.dir, "state")),
		Log: slog.New(slog.DiscardHandler), Problem: m.setProblem})
	m.refresh = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Run(ctx) }()
	m.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(m.stop)
	return m
}

func (m *testMember) setProblem(part string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.problems[part] = err; err == nil {
		delete(m.problems, part)
	}
}

// problem waits until the problems of the member contain a text.
func (m *testMember) problem(text string) {
	m.t.Helper()
	var all string
	defer func() {
		if m.t.Failed() {
			m.t.Logf("the problems are: %s", all)
		}
	}()
	testnet.Eventually(m.t, text, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		all = ""
		for part, err := range m.problems {
			all += part + ": " + err.Error() + "\n"
		}
		return strings.Contains(all, text)
	})
}

// owns waits until the block is open on the member.
func (m *testMember) owns(block string) {
	m.t.Helper()
	want := netip.MustParsePrefix(block)
	testnet.Eventually(m.t, "the block is open: "+block, func() (open bool) {
		err := m.Store.View(m.t.Context(), func(tx *state.Tx) error {
			parts, err := lease.Parts(tx, "lan-hq")
			open = slices.ContainsFunc(parts, func(p lease.Part) bool { return p.Prefix == want })
			return err
		})
		return err == nil && open
	})
}

// TestWatch checks that a node that waits for a block gets one as soon as another node has none
// left, also after its watch was lost and etcd has compacted the changes meanwhile.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(*testing.T, *testnet.Etcd){
		"at once":          func(*testing.T, *testnet.Etcd) {},
		"after compaction": func(t *testing.T, e *testnet.Etcd) { compactUnseen(t, e, "http://127.0.0.1:20998") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testnet.StartEtcd(t, 1)[0]
			c := specs.ClusterConfig{Etcd: []string{server.URL}}
			a := newTestMember(t, "a", c)
			a.owns("192.0.2.64/29")
			b := newTestMember(t, "b", c)
			b.problem("every block of domain")
			a.stop()
			meanwhile(t, server)
			client := openClient(t, server.URL)
			testnet.Eventually(t, "the block is deleted", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), askWithin)
				defer cancel()
				_, err := client.Delete(ctx, "/berth/v1/domain/lan-hq/block/192.0.2.64")
				return err == nil
			})
			b.owns("192.0.2.64/29")
		})
	}
}

// TestRemovedNetwork checks that a node without a network's file gives its block back, and that
// another one gets it.
func TestRemovedNetwork(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	c := specs.ClusterConfig{Etcd: []string{server.URL}}
	a := newTestMember(t, "a", c)
	a.owns("192.0.2.64/29")
	b := newTestMember(t, "b", c)
	b.problem("every block of domain")
	if err := os.Remove(filepath.Join(a.dir, "networks.d", "lan.toml")); err != nil {
		t.Fatal(err)
	}
	a.Wake()
	b.owns("192.0.2.64/29")
}

// TestProblemOfRemovedNetwork checks that the problem of a domain ends with its networks.
func TestProblemOfRemovedNetwork(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	m := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL}})
	m.owns("192.0.2.64/29")
	files := filepath.Join(m.dir, "networks.d")
	other := strings.Replace(oneBlock, "64/29", "72/29", 1)
	if err := os.WriteFile(filepath.Join(files, "other.toml"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Wake()
	m.problem("have it with different pools")
	for _, name := range []string{"lan.toml", "other.toml"} {
		if err := os.Remove(filepath.Join(files, name)); err != nil {
			t.Fatal(err)
		}
	}
	m.Wake()
	m.noProblem()
}

// TestRemovedNetworkAfterKill checks that a node gives back a block of a removed network that its
// file does not list: berthd was killed after it had struck the block, or before it recorded it.
func TestRemovedNetworkAfterKill(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	lib := filepath.Join(t.TempDir(), "lib")
	c := specs.ClusterConfig{Etcd: []string{server.URL}, Directory: lib}
	a := newTestMember(t, "a", c)
	a.owns("192.0.2.64/29")
	b := newTestMember(t, "b", specs.ClusterConfig{Etcd: c.Etcd})
	b.problem("every block of domain")
	a.stop()
	file, err := cluster.Directory(lib).Load()
	if err == nil {
		file.Held = nil
		err = cluster.Directory(lib).Save(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	startMember(t, "a", c, t.TempDir())
	b.owns("192.0.2.64/29")
}

// compactUnseen changes keys that the nodes watch while they do not reach etcd, and compacts
// the changes. Meanwhile etcd has another URL.
func compactUnseen(t *testing.T, server *testnet.Etcd, elsewhere string) {
	t.Helper()
	server.Kill()
	server.Start(t, elsewhere)
	client := openClient(t, elsewhere)
	var last int64
	for range 5 {
		testnet.Eventually(t, "a change", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), askWithin)
			defer cancel()
			r, err := client.Put(ctx, "/other", "x")
			if err == nil {
				last = r.Header.Revision
			}
			return err == nil
		})
	}
	if _, err := client.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Start(t, server.URL)
}

func openClient(t *testing.T, url string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
