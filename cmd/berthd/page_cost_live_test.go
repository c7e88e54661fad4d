package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/internal/testnet"
)

// page is a running berth-web.
type page struct {
	*lab
	process *os.Process
	address string // with the token
}

// startPage builds berth-web, and serves the page of the lab's agent.
func (l *lab) startPage() *page {
	l.t.Helper()
	program := filepath.Join(l.t.TempDir(), "berth-web")
	if out, err := exec.Command("go", "build", "-o", program, "../berth-web").CombinedOutput(); err != nil {
		l.t.Fatalf("build berth-web: %v: %s", err, out)
	}
	cmd := exec.Command(program, "--listen", "127.0.0.1:0", "--state", l.state)
	out, err := cmd.StdoutPipe()
	mustSucceed(l.t, err)
	mustSucceed(l.t, cmd.Start())
	l.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	mustSucceed(l.t, err)
	return &page{l, cmd.Process, strings.TrimSpace(line)}
}

// openViewer opens the stream of a viewer, and counts its bytes and lines until ctx is done.
func (p *page) openViewer(ctx context.Context, size, lines *atomic.Int64) {
	p.t.Helper()
	base, token, _ := strings.Cut(p.address, "/#")
	login, err := http.NewRequest(http.MethodPost, base+"/session", nil)
	mustSucceed(p.t, err)
	login.Header.Set("Authorization", "Bearer "+token)
	login.Header.Set("Origin", base)
	answer, err := http.DefaultClient.Do(login)
	mustSucceed(p.t, err)
	mustSucceed(p.t, answer.Body.Close())
	feed, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/feed", nil)
	mustSucceed(p.t, err)
	for _, c := range answer.Cookies() {
		feed.AddCookie(c)
	}
	stream, err := http.DefaultClient.Do(feed)
	mustSucceed(p.t, err)
	go func() {
		defer stream.Body.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := stream.Body.Read(buf)
			size.Add(int64(n))
			lines.Add(int64(bytes.Count(buf[:n], []byte{'\n'})))
			if err != nil {
				return
			}
		}
	}()
}

// processorTime returns the time that a process has used, user and system.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	mustSucceed(t, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // proc_pid_stat(5): from the third field
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		mustSucceed(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// BenchmarkViewers measures an agent with 10,000 endpoints and its page: the share of a core
// that each uses with 1 and with 20 viewers, the memory of berth-web, and the bytes of an update.
// The two are measured in turns, because other work on the machine changes both.
func BenchmarkViewers(b *testing.B) {
	const n = 10_000
	l := newLab(b)
	l.writeNetwork("lan", lanFile)
	mustSucceed(b, os.WriteFile(filepath.Join(l.config, "berth.toml"), fmt.Appendf(nil, "[agent]\nmax_endpoints = %d\n", n), 0o644))
	l.addCrowd(n)
	a := l.startAgent()
	testnet.Eventually(b, "all endpoints", func() bool { return l.agentStatus().Endpoints == n })
	p := l.startPage()
	var size, lines atomic.Int64
	p.openViewer(b.Context(), &size, &lines)
	for _, viewers := range []int{1, 20, 1, 20, 1, 20} {
		b.Run(strconv.Itoa(viewers), func(b *testing.B) {
			others, leave := context.WithCancel(b.Context())
			defer leave()
			for range viewers - 1 {
				p.openViewer(others, &size, &lines)
			}
			begun := lines.Load()
			testnet.Eventually(b, "updates of all viewers", func() bool { return lines.Load()-begun > int64(4*viewers) })
			for b.Loop() {
				agent, web, begun := processorTime(b, a.cmd.Process.Pid), processorTime(b, p.process.Pid), time.Now()
				bytes, updates := size.Load(), lines.Load()
				time.Sleep(20 * time.Second) // the interval of the measurement
				over := time.Since(begun)
				b.ReportMetric(100*(processorTime(b, a.cmd.Process.Pid)-agent).Seconds()/over.Seconds(), "agent-%")
				b.ReportMetric(100*(processorTime(b, p.process.Pid)-web).Seconds()/over.Seconds(), "web-%")
				b.ReportMetric(float64(size.Load()-bytes)/float64(max(1, lines.Load()-updates)), "bytes/update")
			}
			web := &agent{lab: l, cmd: &exec.Cmd{Process: p.process}}
			b.ReportMetric(web.memoryField("RssAnon:"), "web-anon-MB")
		})
	}
}
