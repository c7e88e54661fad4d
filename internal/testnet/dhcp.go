package testnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// DHCPServers are the DHCP servers of Debian that tests can start.
var DHCPServers = []string{"dnsmasq", "kea", "dhcpd"}

// DHCPConfig is the configuration of a DHCP server for tests.
type DHCPConfig struct {
	Kind    string // one of DHCPServers
	Link    string // the interface that it serves; it has an address of the subnet
	Network string // of the subnet: the first three bytes, "192.0.2" if empty
	First   int    // the first address of the pool, 100 if 0; it has 21 addresses
	Seconds int    // lease time; dnsmasq raises it to 120
	Options string // further lines of dnsmasq's or dhcpd's configuration

	IPv6 bool // DHCPv6 of 2001:db8::100 to 2001:db8::1ff instead
}

// DHCPServer is a running DHCP server.
type DHCPServer struct {
	t   testing.TB
	ns  *NS
	dir string
	cfg DHCPConfig
	cmd *exec.Cmd
	log string // path of its output
}

// ServeDHCP starts a DHCP server in a namespace. It ends with the test. Its leases
// outlast Stop and Start.
func ServeDHCP(t testing.TB, ns *NS, cfg DHCPConfig) *DHCPServer {
	t.Helper()
	if cfg.Network == "" {
		cfg.Network = "192.0.2"
	}
	if cfg.First == 0 {
		cfg.First = 100
	}
	s := &DHCPServer{t: t, ns: ns, dir: t.TempDir(), cfg: cfg}
	s.log = filepath.Join(s.dir, "log")
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			log := s.Log()
			t.Logf("the end of %s's log:\n%s", cfg.Kind, log[max(0, len(log)-3000):])
		}
	})
	if cfg.IPv6 {
		Eventually(t, "the server's link-local address is usable", func() bool {
			out := Run(t, ns, "ip", "-6", "addr", "show", "dev", cfg.Link, "scope", "link")
			return strings.Contains(out, "fe80::") && !strings.Contains(out, "tentative")
		})
	}
	s.Start()
	return s
}

// Log returns the server's output. The server itself writes it to a file: lines that it wrote before
// a message are there when the message arrives.
func (s *DHCPServer) Log() string {
	s.t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// Stop ends the server.
func (s *DHCPServer) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	s.cmd = nil
}

// Forget deletes the leases of a stopped server.
func (s *DHCPServer) Forget() {
	s.t.Helper()
	for _, name := range []string{"leases", "kea-leases4.csv", "kea-leases6.csv"} {
		_ = os.Remove(filepath.Join(s.dir, name))
	}
}

// Start starts the server, and returns once it listens.
func (s *DHCPServer) Start() {
	s.t.Helper()
	before := len(s.Log())
	name, args, ready := s.command()
	s.cmd = exec.Command(Program(s.t, name), args...)
	s.cmd.Env = append(os.Environ(), "KEA_LOCKFILE_DIR="+s.dir, "KEA_PIDFILE_DIR="+s.dir, "KEA_DHCP_DATA_DIR="+s.dir,
		"KEA_LOGGER_DESTINATION=stdout")
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	In(s.t, s.ns, func() { err = s.cmd.Start() })
	if err != nil {
		s.t.Fatalf("start %s: %v", name, err)
	}
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(s.Log()[before:], ready) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not listen:\n%s", name, s.Log())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Serve sets another configuration for the next Start.
func (s *DHCPServer) Serve(change func(*DHCPConfig)) { change(&s.cfg) }

// command returns the program, its arguments, and the text that it logs when it listens.
func (s *DHCPServer) command() (name string, args []string, ready string) {
	c := s.cfg
	switch c.Kind {
	case "dnsmasq":
		return "dnsmasq", s.dnsmasq(), "DHCP"
	case "kea":
		program, text := "kea-dhcp4", s.kea4()
		if c.IPv6 {
			program, text = "kea-dhcp6", s.kea6()
		}
		return program, []string{"-c", s.write("kea.json", text)}, "_STARTED"
	case "dhcpd":
		s.write("leases", "")
		family, text := "-4", s.dhcpd4()
		if c.IPv6 {
			family, text = "-6", s.dhcpd6()
		}
		return "dhcpd", []string{family, "-f", "-d", "-user", "root", "-group", "root", "-cf", s.write("dhcpd.conf", text),
			"-lf", filepath.Join(s.dir, "leases"), "-pf", filepath.Join(s.dir, "pid"), c.Link}, "Sending on"
	}
	s.t.Fatalf("no DHCP server %q", c.Kind)
	return "", nil, ""
}

// write writes a file of the server, unless it is empty and exists.
func (s *DHCPServer) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if _, err := os.Stat(path); text == "" && err == nil {
		return path
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *DHCPServer) dnsmasq() []string {
	c := s.cfg
	pool := fmt.Sprintf("%s.%d,%[1]s.%[3]d,255.255.255.0,%[4]d", c.Network, c.First, c.First+20, c.Seconds)
	if c.IPv6 {
		pool = fmt.Sprintf("2001:db8::100,2001:db8::1ff,64,%d", c.Seconds)
	}
	args := []string{"--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=0", "--user=root",
		"--group=root", "--no-ping",
		"--dhcp-authoritative", "--log-dhcp", "--interface=" + c.Link, "--bind-interfaces", "--no-resolv",
		"--no-hosts", "--pid-file=",
		"--dhcp-leasefile=" + filepath.Join(s.dir, "leases"), "--dhcp-range=" + pool}
	return append(args, strings.Fields(c.Options)...)
}

func (s *DHCPServer) dhcpd4() string {
	c := s.cfg
	return fmt.Sprintf(`authoritative;
ping-check false;
default-lease-time %d;
max-lease-time %[1]d;
min-lease-time 1;
subnet %[2]s.0 netmask 255.255.255.0 {
	range %[2]s.%[3]d %[2]s.%[4]d;
	option routers %[2]s.1;
	%[5]s
}
`, c.Seconds, c.Network, c.First, c.First+20, c.Options)
}

func (s *DHCPServer) dhcpd6() string {
	return fmt.Sprintf(`authoritative;
default-lease-time %d;
preferred-lifetime %[1]d;
subnet6 2001:db8::/64 {
	range6 2001:db8::100 2001:db8::1ff;
	%s
}
`, s.cfg.Seconds, s.cfg.Options)
}

const keaLogger = `"loggers": [{"name": "*", "output_options": [{"output": "stdout", "flush": true}], "severity": "INFO"}]`

func (s *DHCPServer) kea4() string {
	c := s.cfg
	return fmt.Sprintf(`{"Dhcp4": {"interfaces-config": {"interfaces": [%q]}, "authoritative": true,
"lease-database": {"type": "memfile", "name": %q, "lfc-interval": 0}, "valid-lifetime": %d, %s,
"subnet4": [{"id": 1, "subnet": "%s.0/24", "interface": %q, "pools": [{"pool": "%[5]s.%[7]d - %[5]s.%[8]d"}],
"option-data": [{"name": "routers", "data": "%[5]s.1"}]}]}}`,
		c.Link, filepath.Join(s.dir, "kea-leases4.csv"), c.Seconds, keaLogger, c.Network, c.Link, c.First, c.First+20)
}

func (s *DHCPServer) kea6() string {
	c := s.cfg
	return fmt.Sprintf(`{"Dhcp6": {"interfaces-config": {"interfaces": [%q]},
"lease-database": {"type": "memfile", "name": %q, "lfc-interval": 0}, "valid-lifetime": %d, "preferred-lifetime": %[3]d, %s,
"server-id": {"type": "LL", "persist": false},
"subnet6": [{"id": 1, "subnet": "2001:db8::/64", "interface": %q, "pools": [{"pool": "2001:db8::100 - 2001:db8::1ff"}]}]}}`,
		c.Link, filepath.Join(s.dir, "kea-leases6.csv"), c.Seconds, keaLogger, c.Link)
}
