package daemon

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/internal/config"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func mustSucceed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTestAgent returns an agent that has its own maps and follows nothing.
func newTestAgent(t testing.TB, endpoints uint32) *Agent {
	t.Helper()
	testnet.Need(t, testnet.Root)
	dir, err := os.MkdirTemp("/run", "agent")
	mustSucceed(t, err)
	bpffs := filepath.Join("/sys/fs/bpf", filepath.Base(dir))
	mustSucceed(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
	text := fmt.Sprintf("[agent]\nmax_endpoints = %d\ncontainerd = []\ndocker = ''\npodman = ''\n", endpoints)
	mustSucceed(t, os.WriteFile(filepath.Join(dir, "etc", "berth.toml"), []byte(text), 0o644))
	a, err := newAgent(Options{Dirs: config.Dirs{Config: filepath.Join(dir, "etc"), State: filepath.Join(dir, "run"), BPFFS: bpffs},
		Log: slog.New(slog.DiscardHandler)})
	mustSucceed(t, err)
	a.status.Store(&specs.AgentStatus{Parents: []specs.ParentStatus{{Name: "eth1", Index: 4, Networks: []string{"lan"}}}})
	mustSucceed(t, a.openDatapath())
	t.Cleanup(func() { mustSucceed(t, a.closeDatapath()); mustSucceed(t, os.RemoveAll(bpffs)) })
	return a
}

// scaleAttachment returns container number n, as a hook run by nerdctl would record it.
func scaleAttachment(n uint32) *state.Attachment {
	return &state.Attachment{
		Cookie: uint64(n) + 5000, NSID: int(n), Containers: []string{fmt.Sprintf("%064x", uint64(n)*0x9e3779b97f4a7c15)},
		Annotations: map[string]string{"nerdctl/name": fmt.Sprintf("web-%d", n), "nerdctl/namespace": "default"},
		Network:     "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", ParentIndex: 4,
		Interface: "net1", LinkIndex: 2, MAC: specs.MAC{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, MTU: 1500,
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}), 15)},
		Slot:      n, Phase: specs.PhaseAttached, Created: time.Unix(int64(n), 0),
		Selection: `{"network":"lan","interface":"net1"}`,
	}
}

// fillWith records and registers n attachments.
func fillWith(t testing.TB, a *Agent, n uint32) {
	t.Helper()
	for from := uint32(1); from <= n; from += 1000 {
		mustSucceed(t, a.store.Update(t.Context(), func(tx *state.Tx) error {
			for slot := from; slot < min(from+1000, n+1); slot++ {
				at := scaleAttachment(slot)
				if err := tx.Put(at); err != nil {
					return err
				}
				if err := a.datapath.Maps().Register(release.Endpoint(at)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// nothing is a response writer that discards its input.
type nothing struct {
	http.ResponseWriter
	n int
}

func (w *nothing) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }

// BenchmarkScrape measures a scrape: reading maps and records (goal at 10,000 endpoints 5
// ms), all of it (100 ms), and the memory that the agent keeps for it.
func BenchmarkScrape(b *testing.B) {
	for _, n := range []uint32{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			before := heapBytes()
			a := newTestAgent(b, 10_000)
			fillWith(b, a, n)
			time.Sleep(stampSettle) // the records are final
			handler := metrics.NewHandler(a.format, "bench", a.fillSnapshot)
			reading, whole, size := time.Hour, time.Hour, 0
			scrape := func() {
				w := &nothing{ResponseWriter: httptest.NewRecorder()}
				start := time.Now()
				handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
				whole, size = min(whole, time.Since(start)), w.n
			}
			scrape()
			s := new(metrics.Snapshot)
			spent := cpuTime(b)
			for b.Loop() {
				mustSucceed(b, a.fillSnapshot(s))
				reading = min(reading, s.Reading)
				scrape()
			}
			b.ReportMetric((cpuTime(b)-spent).Seconds()*1e3/float64(b.N), "cpu-ms") // of both
			b.ReportMetric(reading.Seconds()*1e3, "read-ms")
			b.ReportMetric(whole.Seconds()*1e3, "least-ms")
			b.ReportMetric(float64(size)/1e6, "MB")
			b.ReportMetric(float64(heapBytes()-before)/1e6, "heap-MB")
			runtime.KeepAlive(a)
		})
	}
}

// cpuTime returns the CPU time of this process: on a busy machine it is more exact than the
// clock.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	mustSucceed(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
