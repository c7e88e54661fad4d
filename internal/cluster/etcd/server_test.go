package etcd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/testnet"
)

// patience is the time in which a condition becomes true, also on a loaded machine.
const patience = 3 * time.Minute

// member is one etcd server of a test's cluster.
type member struct {
	args    []string
	client  string // the URL for clients
	process *exec.Cmd
	log     bytes.Buffer
}

// startCluster starts Debian's etcd with so many members on loopback.
func startCluster(t *testing.T, members int, more ...string) []*member {
	t.Helper()
	program, dir := testnet.Program(t, "etcd"), t.TempDir()
	scheme := "http"
	if strings.Contains(strings.Join(more, " "), "--cert-file") {
		scheme = "https"
	}
	var all []*member
	var initial []string
	for i := range members {
		peer := "http://" + freeAddress(t)
		m := &member{client: scheme + "://" + freeAddress(t)}
		initial = append(initial, fmt.Sprintf("m%d=%s", i, peer))
		m.args = append([]string{program, "--name", fmt.Sprint("m", i), "--data-dir", filepath.Join(dir, fmt.Sprint(i)),
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--unsafe-no-fsync",
			"--listen-client-urls", m.client, "--advertise-client-urls", m.client,
			"--heartbeat-interval", "100", "--election-timeout", "2000"}, more...)
		all = append(all, m)
	}
	for _, m := range all {
		m.args = append(m.args, "--initial-cluster", strings.Join(initial, ","))
		m.start(t)
		t.Cleanup(m.kill)
	}
	return all
}

// start starts the member, which dies with the test.
func (m *member) start(t *testing.T) {
	t.Helper()
	m.process = exec.Command(m.args[0], m.args[1:]...)
	m.process.Stdout, m.process.Stderr = &m.log, &m.log
	m.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m.process.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64")
	if err := m.process.Start(); err != nil {
		t.Fatal(err)
	}
}

func (m *member) kill() {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
}

// pause stops the member as a partition does: its connections stay open, without answers.
func (m *member) pause(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := m.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func endpoints(all []*member) (urls []string) {
	for _, m := range all {
		urls = append(urls, m.client)
	}
	return urls
}

func openStore(t *testing.T, urls ...string) *Store {
	t.Helper()
	s, err := Open(Config{Endpoints: urls, Presence: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	waitFor(t, "an answer of etcd", func(ctx context.Context) error { _, err := s.List(ctx, "node/"); return err })
	return s
}

// waitFor repeats a request until it succeeds.
func waitFor(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
