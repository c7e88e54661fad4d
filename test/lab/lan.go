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

// patience is the deadline of every command. The slowest, a container engine's first start
// on a busy machine with two processors, takes a tenth of it.
const patience = time.Minute

// A Machine is a named network namespace, as made by `ip netns`.
type Machine struct {
	Name string
}

// netnsMu is held while a namespace is made: the first `ip netns add` changes the mount of
// /run/netns, and two concurrent calls conflict.
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

// Remove unlinks the namespace. The namespace ends with its last process.
func (m *Machine) Remove() error { return command("ip", "netns", "del", m.Name) }

// Path returns the path at which the namespace is bound.
func (m *Machine) Path() string { return "/run/netns/" + m.Name }

// Command returns a command that runs on the machine. It uses nsenter and not `ip netns
// exec`, which would mount a /sys without the BPF file system.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + m.Path(), "--", name}, args...)...)
}

// Run runs a program on the machine and returns its standard output. An error also has its
// standard error.
func (m *Machine) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return Output(m.Command(ctx, name, args...))
}

// Enter moves the calling goroutine to the machine for good. Programs that it starts
// afterwards run there without nsenter, whose time would be measured too.
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

// NewSwitch makes a switch without spanning tree, multicast snooping or addresses.
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

// Plug gives a machine an interface that is connected to the switch, up, and has the given
// addresses.
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
