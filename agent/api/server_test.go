package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/agent/client"
	"berth/agent/events"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type fake struct {
	endpoints []specs.Endpoint
	calls     []string
	after     []string // of requests for changes

	mu  sync.Mutex
	err error // of the requests
}

// failure returns the error of the requests.
func (f *fake) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// fail sets the error of the requests.
func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fake) Status(context.Context) (specs.AgentStatus, error) {
	return specs.AgentStatus{Version: "1", Parents: []specs.ParentStatus{{Name: "eth1", Networks: []string{"lan"}}}}, f.failure()
}

func (f *fake) RecentStatus(context.Context) (specs.AgentStatus, error) {
	f.calls = append(f.calls, "recent")
	return f.Status(context.Background())
}

func (f *fake) Endpoints(_ context.Context, all bool, each func(*specs.Endpoint) error) error {
	for i := range f.endpoints {
		if all || i == 0 {
			if err := each(&f.endpoints[i]); err != nil {
				return err
			}
		}
	}
	return f.failure()
}

// Changes has all endpoints under version 1, and the first one's counts since then.
func (f *fake) Changes(_ context.Context, after string, each func(*specs.Changes) error) error {
	f.after = append(f.after, after)
	parts := []specs.Changes{{Counts: []uint64{1, 1, 7}, Marks: []specs.ChangedMarks{{ID: 1, GroupPackets: new(uint64(3))}}}}
	if after == "" {
		parts = []specs.Changes{{Whole: true}}
		for i := range f.endpoints {
			parts = append(parts, specs.Changes{Endpoints: []specs.ChangedEndpoint{{ID: uint64(i + 1), Endpoint: f.endpoints[i]}}})
		}
	}
	for i := range parts {
		if err := each(&parts[i]); err != nil {
			return err
		}
	}
	if err := f.failure(); err != nil {
		return err
	}
	return each(&specs.Changes{Version: "a-1"})
}

func (f *fake) Ready() error { return f.failure() }

func (f *fake) Detach(_ context.Context, purge bool) error {
	if purge {
		f.calls = append(f.calls, "purge")
	}
	f.calls = append(f.calls, "detach")
	return f.failure()
}

func (f *fake) Cluster(context.Context) (specs.ClusterStatus, error) {
	return specs.ClusterStatus{Node: "node1"}, f.failure()
}

func (f *fake) Forget(_ context.Context, node string) ([]string, error) {
	f.calls = append(f.calls, "forget "+node)
	return []string{"domain/lan/block/192.0.2.0"}, f.failure()
}

func (f *fake) Networks(context.Context) ([]specs.NetworkStatus, error) {
	return []specs.NetworkStatus{{Network: &specs.Network{Name: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, IPAM: specs.IPAMLocal, IPv6: specs.IPv6Off}}}, f.failure()
}

func (f *fake) Attach(context.Context) error {
	f.calls = append(f.calls, "attach")
	return f.failure()
}

func serveBackend(t *testing.T, backend Backend) (*client.Client, *events.Ring, string) {
	t.Helper()
	dir := t.TempDir()
	l, err := Listen(filepath.Join(dir, client.SocketName), "")
	if err != nil {
		t.Fatal(err)
	}
	view, err := ListenView(filepath.Join(dir, client.ViewDir, client.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	ring := events.NewRing(100)
	s := New(backend, ring, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	served := make(chan error, 2)
	go func() { served <- s.Serve(l) }()
	go func() { served <- s.ServeView(view) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(s.Close(ctx), <-served, <-served); err != nil {
			t.Error(err)
		}
	})
	return client.New(dir), ring, dir
}

func TestRequests(t *testing.T) {
	web := specs.Endpoint{ContainerID: "web", Driver: specs.Macvlan, Mode: specs.ModeVEPA, Phase: specs.PhaseAttached}
	old := specs.Endpoint{ContainerID: "old", Driver: specs.Macvlan, Mode: specs.ModeBridge, Phase: specs.PhaseEnded}
	f := &fake{endpoints: []specs.Endpoint{web, old}}
	c, _, _ := serveBackend(t, f)
	ctx := t.Context()
	status, err := c.Status(ctx)
	if err != nil || status.Version != "1" {
		t.Errorf("status %+v, %v", status, err)
	}
	recent, err := c.RecentStatus(ctx)
	if err != nil || recent.Version != "1" || !slices.Equal(f.calls, []string{"recent"}) {
		t.Errorf("recent status %+v, %v; the agent did %q", recent, err, f.calls)
	}
	f.calls = nil
	parents, err := c.Parents(ctx)
	if err != nil || len(parents) != 1 || parents[0].Name != "eth1" {
		t.Errorf("parents %+v, %v", parents, err)
	}
	if networks, err := c.Networks(ctx); err != nil || len(networks) != 1 || networks[0].Name != "lan" {
		t.Errorf("networks %+v, %v", networks, err)
	}
	for _, all := range []bool{false, true} {
		got, err := c.Endpoints(ctx, all)
		want := f.endpoints[:1]
		if all {
			want = f.endpoints
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("endpoints, all %t: %v %s", all, err, diff)
		}
	}
	if err := errors.Join(c.Detach(ctx, true), c.Detach(ctx, false), c.Attach(ctx)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"purge", "detach", "detach", "attach"}, f.calls); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsReachTheClient(t *testing.T) {
	c, _, _ := serveBackend(t, &fake{err: errors.New("no room")})
	if _, err := c.Status(t.Context()); err == nil || err.Error() != "agent: no room" {
		t.Errorf("error %v, want %q", err, "agent: no room")
	}
}

func TestNoAgent(t *testing.T) {
	dir := t.TempDir()
	_, err := client.New(dir).Status(t.Context())
	if !errors.Is(err, client.ErrNoAgent) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want ErrNoAgent with %q", err, dir)
	}
	l, err := net.Listen("unix", filepath.Join(dir, client.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := client.New(dir).Status(t.Context()); !errors.Is(err, client.ErrNoAgent) {
		t.Errorf("error %v with a dead agent's socket, want ErrNoAgent", err)
	}
}

func TestListenReplacesADeadSocket(t *testing.T) {
	_, _, dir := serveBackend(t, &fake{})
	path := filepath.Join(dir, client.SocketName)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	group, err := user.LookupGroupId("0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path, group.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v, want 0660", info.Mode(), err)
	}
	if _, err := Listen(path, "no-such-group"); err == nil || !strings.HasPrefix(err.Error(), "socket_group") {
		t.Errorf("error %v, want one of socket_group", err)
	}
}

func testEvent(kind specs.Kind, container string, second int64) specs.Event {
	return specs.Event{
		Kind: kind, Time: time.Unix(second, 0).UTC(), Certainty: specs.Certain,
		MAC:    specs.FrameMAC{3, 0, 0x5e, 0, 0x53, 1}, // a group address: a forged source may be anything
		Sender: &specs.Party{ContainerID: container},
		Frame:  specs.Frame{Source: specs.FrameMAC{3, 0, 0x5e, 0, 0x53, 1}, SourceIP: netip.MustParseAddr("192.0.2.1"), Bytes: []byte{1}},
	}
}

func collectSeconds(t *testing.T, c *client.Client, f client.Filter) (seconds []int64) {
	t.Helper()
	for e, err := range c.Events(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		want := testEvent(specs.MACSpoof, e.Sender.ContainerID, e.Time.Unix())
		if diff := cmp.Diff(want, e, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Error(diff)
		}
		seconds = append(seconds, e.Time.Unix())
	}
	return seconds
}

func TestKeptEvents(t *testing.T) {
	c, ring, _ := serveBackend(t, &fake{})
	for i := range int64(3) {
		ring.Add(testEvent(specs.MACSpoof, []string{"web", "db"}[i%2], i))
	}
	for name, c2 := range map[string]struct {
		filter client.Filter
		want   []int64
	}{
		"all":       {client.Filter{}, []int64{0, 1, 2}},
		"kind":      {client.Filter{Kind: specs.MACSpoof}, []int64{0, 1, 2}},
		"container": {client.Filter{Container: "w"}, []int64{0, 2}},
		"since":     {client.Filter{Since: time.Unix(1, 0)}, []int64{1, 2}},
		"none":      {client.Filter{Container: "x"}, nil},
	} {
		if diff := cmp.Diff(c2.want, collectSeconds(t, c, c2.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, err := range c.Events(t.Context(), client.Filter{Kind: "mac-spof"}) {
		if want := `agent: kind "mac-spof": want one of mac-spoof`; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestFollowedEvents(t *testing.T) {
	c, ring, _ := serveBackend(t, &fake{})
	ring.Add(testEvent(specs.MACSpoof, "web", 0))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got int64
	for e, err := range c.Events(ctx, client.Filter{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Time.Unix() != got {
			t.Fatalf("event %d, want %d", e.Time.Unix(), got)
		}
		if got++; got == 50 {
			break
		}
		ring.Add(testEvent(specs.MACSpoof, "web", got))
	}
	if got != 50 {
		t.Errorf("the stream ended after %d events, want 50", got)
	}
}

// TestListsAreWholeOrBrokenOff requires that no element gives an empty list, and an error
// in the middle no list that looks complete.
func TestListsAreWholeOrBrokenOff(t *testing.T) {
	f := &fake{}
	c, _, _ := serveBackend(t, f)
	got, err := c.Endpoints(t.Context(), true)
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("of none: %v, %v, want an empty list", got, err)
	}
	f.endpoints = make([]specs.Endpoint, 1000)
	f.fail(errors.New("database: held"))
	for i := range f.endpoints {
		f.endpoints[i] = specs.Endpoint{ContainerID: "web", Driver: specs.Macvlan, Mode: specs.ModeVEPA}
	}
	if got, err := c.Endpoints(t.Context(), true); err == nil {
		t.Errorf("%d elements and no error, want one", len(got))
	}
	f.fail(nil)
	if got, err := c.Endpoints(t.Context(), true); err != nil || len(got) != 1000 {
		t.Errorf("%d elements, %v, want 1000", len(got), err)
	}
}

// TestFollowerRequestsChanges requires that a follower requests everything again after an answer that
// was cut off, and the changes alone after a complete one.
func TestFollowerRequestsChanges(t *testing.T) {
	web := specs.Endpoint{ContainerID: "web", Driver: specs.Macvlan, Mode: specs.ModeVEPA}
	old := specs.Endpoint{ContainerID: "old", Driver: specs.Macvlan, Mode: specs.ModeBridge}
	f := &fake{endpoints: []specs.Endpoint{web, old}, err: errors.New("database: held")}
	c, _, _ := serveBackend(t, f)
	follower := c.Follower()
	if got, err := follower.Endpoints(t.Context()); err == nil {
		t.Errorf("an answer that was cut off gives %d endpoints and no error", len(got))
	}
	f.fail(nil)
	for round := range 2 {
		got, err := follower.Endpoints(t.Context())
		want := []specs.Endpoint{web, old}
		if round > 0 {
			want[0].Counters.Receive.Local.Unicast.Packets, want[0].GroupPackets = 7, new(uint64(3))
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("round %d: %v %s", round, err, diff)
		}
	}
	if diff := cmp.Diff([]string{"", "", "a-1"}, f.after); diff != "" {
		t.Error(diff)
	}
}

// TestOlderAgent requires that an agent without a route is called older.
func TestOlderAgent(t *testing.T) {
	dir := t.TempDir()
	l, err := Listen(filepath.Join(dir, client.SocketName), "")
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: http.NotFoundHandler()}
	go s.Serve(l)
	defer s.Close()
	if _, err := client.New(dir).Follower().Endpoints(t.Context()); err == nil || !strings.Contains(err.Error(), "older than this program") {
		t.Errorf("error %v", err)
	}
}
