package testnet

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Etcd is one member of a cluster of Debian's etcd, which serves a test.
type Etcd struct {
	URL     string // for clients
	Dir     string // of its data
	peer    string // URL for other members
	ns      *NS    // nil for that of the test binary
	args    []string
	process *exec.Cmd
	log     Output
}

// StartEtcd starts a cluster of so many members on loopback. The arguments are added to those
// of each member.
func StartEtcd(t testing.TB, members int, more ...string) (all []*Etcd) {
	t.Helper()
	scheme := "http"
	if strings.Contains(strings.Join(more, " "), "--cert-file") {
		scheme = "https"
	}
	for range members {
		all = append(all, &Etcd{URL: scheme + "://" + freeAddress(t), peer: "http://" + freeAddress(t)})
	}
	startMembers(t, all, more)
	return all
}

// An EtcdHost is a machine for a member of etcd: a namespace with an address.
type EtcdHost struct {
	NS      *NS
	Address netip.Addr
}

// StartEtcdOn starts a cluster with a member on each machine, at the standard ports.
func StartEtcdOn(t testing.TB, hosts []EtcdHost, more ...string) (all []*Etcd) {
	t.Helper()
	for _, h := range hosts {
		at := "http://" + h.Address.String()
		all = append(all, &Etcd{URL: at + ":2379", peer: at + ":2380", ns: h.NS})
	}
	startMembers(t, all, more)
	return all
}

func startMembers(t testing.TB, all []*Etcd, more []string) {
	t.Helper()
	program, dir := Program(t, "etcd"), t.TempDir()
	var initial []string
	for i, m := range all {
		m.Dir = filepath.Join(dir, fmt.Sprint(i))
		initial = append(initial, fmt.Sprintf("m%d=%s", i, m.peer))
		m.args = append([]string{program, "--name", fmt.Sprint("m", i), "--data-dir", m.Dir,
			"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer, "--unsafe-no-fsync",
			"--heartbeat-interval", "100", "--election-timeout", "2000"}, more...)
	}
	for _, m := range all {
		m.args = append(m.args, "--initial-cluster", strings.Join(initial, ","))
		m.Start(t, m.URL)
		t.Cleanup(m.Kill)
	}
}

// Start starts the member for clients at a URL. It dies with the test.
func (m *Etcd) Start(t testing.TB, url string) {
	t.Helper()
	m.process = exec.Command(m.args[0], append(m.args[1:], "--listen-client-urls", url, "--advertise-client-urls", url)...)
	m.process.Stdout, m.process.Stderr = &m.log, &m.log
	m.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m.process.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64")
	var err error
	if m.ns == nil {
		err = m.process.Start()
	} else {
		In(t, m.ns, func() { err = m.process.Start() })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Kill ends the member at once.
func (m *Etcd) Kill() {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
}

// Signal sends a signal: a stopped member's connections stay open, without answers, as in a
// partition.
func (m *Etcd) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := m.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// EtcdURLs returns the URLs of members.
func EtcdURLs(all []*Etcd) (urls []string) {
	for _, m := range all {
		urls = append(urls, m.URL)
	}
	return urls
}

// nextPort is below the ports that the kernel gives to connections by itself.
var nextPort atomic.Int32

// freeAddress returns an address of loopback on which nothing listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		at := fmt.Sprintf("127.0.0.1:%d", 21000+nextPort.Add(1))
		if l, err := net.Listen("tcp", at); err == nil {
			_ = l.Close()
			return at
		}
	}
	t.Fatal("no port of loopback is free")
	return ""
}

// CPU returns the processor time of the member so far.
func (m *Etcd) CPU(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}

// Memory returns the resident memory of the member.
func (m *Etcd) Memory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
