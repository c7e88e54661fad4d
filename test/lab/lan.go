package lab

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every command: the slowest, a container engine's first
// start on a busy machine of two processors, takes a tenth of it.
const patience = time.Minute

// A Machine is a network namespace under a name, as `ip netns` has them.
type Machine struct {
	Name string
}

// netnsMu is held while a namespace is made: the first `ip netns add` changes
// the mount of /run/netns, and two at once get in each other's way.
var netnsMu sync.Mutex

// NewMachine makes a namespace with its loopback up.
func NewMachine(name string) (*Machine, error) {
	netnsMu.Lock()
	defer netnsMu.Unlock()
	m := &Machine{Name: name}
	if err := command("ip", "netns", "add", name); err != nil {
		return nil, err
	}
	return m, command("ip", "-n", name, "link", "set", "lo", "up")
}

// Remove unlinks the namespace; it ends with the last process in it.
func (m *Machine) Remove() error { return command("ip", "netns", "del", m.Name) }

// Path is where the namespace is bound.
func (m *Machine) Path() string { return "/run/netns/" + m.Name }

// Command is a program that is to run on the machine. It uses nsenter and not
// `ip netns exec`, which would mount a /sys without the BPF file system.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + m.Path(), "--", name}, args...)...)
}

// Run runs a program on the machine and returns its standard output. An error
// holds its standard error too.
func (m *Machine) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return Output(m.Command(ctx, name, args...))
}

// Enter puts the calling goroutine on the machine for good: what it starts
// from now on runs there, without the detour by nsenter that would be timed
// with it.
func (m *Machine) Enter() error {
	runtime.LockOSThread()
	fd, err := unix.Open(m.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open namespace %q: %w", m.Name, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %q: %w", m.Name, err)
	}
	return nil
}

// A Switch is a bridge in a namespace of its own.
type Switch struct {
	Machine
	ports atomic.Int32
}

// NewSwitch makes a switch that knows only what it is sent: no spanning tree,
// no multicast snooping, no addresses.
func NewSwitch(name string) (*Switch, error) {
	m, err := NewMachine(name)
	if err != nil {
		return nil, err
	}
	s := &Switch{Machine: *m}
	if _, err := s.Run("busybox", "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"); err != nil {
		return nil, err
	}
	return s, firstError(
		command("ip", "-n", name, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"),
		command("ip", "-n", name, "link", "set", "br0", "up"))
}

// Plug gives a machine an interface that ends in the switch, up, and with the
// addresses given.
func (s *Switch) Plug(m *Machine, ifname string, addresses ...string) error {
	port := fmt.Sprintf("port%d", s.ports.Add(1))
	commands := [][]string{
		{"-n", m.Name, "link", "add", ifname, "type", "veth", "peer", "name", port, "netns", s.Name},
		{"-n", s.Name, "link", "set", port, "master", "br0", "up"},
		{"-n", m.Name, "link", "set", ifname, "up"},
	}
	for _, a := range addresses {
		commands = append(commands, []string{"-n", m.Name, "address", "add", a, "dev", ifname, "nodad"})
	}
	for _, args := range commands {
		if err := command("ip", args...); err != nil {
			return err
		}
	}
	return nil
}
