package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/lab"
)

// socketVar has the descriptor of the page's socket, which the first stage opens in the
// machine's own network namespace, so that the user's browser reaches the page.
const socketVar = "BERTH_DEMO_SOCKET"

// openSocket opens the page's socket, unless an earlier stage has. The stages inherit it.
func openSocket(address string) error {
	if os.Getenv(socketVar) != "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for the page: %w; choose another address: make demo-web PAGE=127.0.0.1:PORT", err)
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD, 100) // without the flag that closes it
	if err != nil {
		return fmt.Errorf("keep the page's socket: %w", err)
	}
	return os.Setenv(socketVar, strconv.Itoa(fd))
}

// talker is a container of the page's LAN, which sends by a shell script of its own.
type talker struct{ name, networks, script string }

// The scripts send until the container ends. Bursts of several lengths make a chart that moves.
const (
	toRouter  = "while :; do for n in 4 20 9 40 15; do ping -q -c $n -i 0.1 -s 1100 192.0.2.1; done; done"
	toSibling = "while :; do for n in 30 7 18; do ping -q -c $n -i 0.1 -s 700 192.0.2.66; sleep 1; done; done"
	quiet     = "while :; do ping -q -c 3 192.0.2.1; sleep 5; done"
	toHub     = "while :; do ping -q -c 12 -i 0.3 -s 300 198.51.100.64; sleep 1; done"
	forging   = "ip link set net1 address " + forged + "; while :; do ping -q -c 1 -w 1 192.0.2.1; sleep 20; done"
)

var talkers = []talker{
	{"web", "lan", toRouter}, {"api", "lan", toSibling}, {"db", "lan", quiet}, {"cache", "lan", toSibling},
	{"mail", "lan", quiet},
	{"sensor-hub", "iot", "sleep 1000000"}, {"thermostat", "iot", toHub}, {"guest", "lan", forging},
}

// writeTalkers plugs the second NIC into a switch, and writes the bundles of the talkers.
func (s *stage) writeTalkers() error {
	second, err := lab.NewSwitch("switch2")
	if err != nil {
		return err
	}
	if err := second.Plug(s.host.Machine, "eth2"); err != nil {
		return err
	}
	for _, t := range talkers {
		b := lab.Bundle{ID: t.name, Rootfs: rootfs, Hooks: s.host.Hooks(),
			Args:        []string{"sh", "-c", t.script + " >/dev/null 2>&1"},
			Annotations: map[string]string{"berth/networks": t.networks}}
		if err := b.Write(filepath.Join(workDir, t.name)); err != nil {
			return err
		}
	}
	return nil
}

// lan returns the scenes that fill the LAN.
func (s *stage) lan() []scene {
	host := s.host.Machine
	var starts []string
	for _, t := range talkers {
		starts = append(starts, fmt.Sprintf("runc run --detach --bundle %[1]s %[1]s", t.name))
	}
	return []scene{{
		what: "The agent, and two networks: one on eth1, one on eth2.",
		on:   host,
		lines: []string{
			"berthd --metrics 127.0.0.1:9477 >berthd.log 2>&1 &",
			"berth network create lan -d macvlan --subnet 192.0.2.0/24 \\\n" +
				"    --gateway 192.0.2.1 --ip-range 192.0.2.64/26 -o parent=eth1",
			"berth network create iot -d macvlan --subnet 198.51.100.0/24 \\\n" +
				"    --gateway 198.51.100.1 --ip-range 198.51.100.64/26 -o parent=eth2",
			"berth host enable lan",
		},
	}, {
		what: "A macvlan interface made by hand, and containers that talk.",
		on:   host,
		lines: append([]string{
			"ip netns add cam",
			"ip link add lan0 link eth1 netns cam type macvlan mode bridge",
			"ip -n cam address add 192.0.2.9/24 dev lan0 && ip -n cam link set lan0 up",
			"ip netns exec cam ping -q -i 0.5 -s 1000 192.0.2.1 >/dev/null 2>&1 &",
		}, starts...),
	}}
}

// servePage serves the page until ctx is done, and checks the host each minute for it.
func (s *stage) servePage(ctx context.Context) error {
	fd, err := strconv.Atoi(os.Getenv(socketVar))
	if err != nil {
		return fmt.Errorf("the page's socket: %w", err)
	}
	// systemd's protocol (sd_listen_fds(3)) has the process's own ID.
	page := exec.CommandContext(ctx, "sh", "-c", `LISTEN_PID=$$ exec "$0"`, filepath.Join(binDir, "berth-web"))
	page.Env = append(os.Environ(), "LISTEN_FDS=1")
	page.ExtraFiles = []*os.File{os.NewFile(uintptr(fd), "page")}
	page.Stdout, page.Stderr = os.Stdout, os.Stderr
	page.Cancel = func() error { return page.Process.Signal(unix.SIGTERM) }
	if err := page.Start(); err != nil {
		return err
	}
	go func() {
		for ; ctx.Err() == nil; time.Sleep(10 * time.Second) {
			s.storeCheck()
		}
	}()
	err = page.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("berth-web ended: %w", err)
}

// storeCheck stores the results of berth check for the page, as berth-check.service does.
func (s *stage) storeCheck() {
	const file = "/run/berth/view/agent/check.json"
	_, _ = s.host.Run("sh", "-c", "berth check --json >"+file+".new; mv "+file+".new "+file) // a failed check is a result
}

// showPage keeps the LAN and the page until the user interrupts.
func showPage(ctx context.Context, bin string) error {
	s, err := newStage(bin)
	if err != nil {
		return err
	}
	if err := s.writeTalkers(); err != nil {
		return err
	}
	g := newGuide(ctx, os.Stdout)
	g.print("A LAN in network namespaces; your own network is not changed.")
	if err := g.play(s.lan()); err != nil {
		return err
	}
	g.print("\nOpen this address in a browser; Ctrl-C ends the LAN and the page:")
	return s.servePage(ctx)
}
