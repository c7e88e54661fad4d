package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// The LAN: eth1 is the parent, eth0 the other end, in namespace peer.
const (
	parent   = "eth1"
	far      = "eth0"
	gateway  = "192.0.2.1"
	seenFile = "/run/lan-frames/sources.json"
)

// layOutLAN makes the LAN's other end, and the LAN of DHCP.
func layOutLAN() error {
	err := runAll([][]string{
		{"netns", "add", "leases"},
		{"netns", "add", "peer"},
		{"link", "set", far, "netns", "peer"},
		{"-n", "peer", "link", "set", "lo", "up"},
		{"-n", "peer", "address", "replace", gateway + "/24", "dev", far},
		{"-n", "peer", "link", "set", far, "up"},
		{"link", "set", parent, "up"},
	})
	if err != nil {
		return err
	}
	return layOutLeases()
}

// runAll runs commands of ip.
func runAll(all [][]string) error {
	for _, args := range all {
		if out, err := output("ip", args...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// countFrames counts the frames that arrive at the far end by their source MAC, and
// writes the counts to seenFile.
func countFrames() error {
	card, err := net.InterfaceByName(far)
	if err != nil {
		return err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: card.Index}); err != nil {
		return fmt.Errorf("packet socket on %s: %w", far, err)
	}
	seen := map[string]int{}
	if err := saveSeen(seen); err != nil {
		return err
	}
	if _, err := daemon.SdNotify(true, daemon.SdNotifyReady); err != nil {
		return err
	}
	frame := make([]byte, 64<<10)
	for {
		n, from, err := unix.Recvfrom(fd, frame, 0)
		if err != nil {
			return fmt.Errorf("receive at %s: %w", far, err)
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if n < 14 || !ok || link.Pkttype == unix.PACKET_OUTGOING || binary.BigEndian.Uint16(frame[12:]) == 0 {
			continue
		}
		seen[net.HardwareAddr(frame[6:12]).String()]++
		if err := saveSeen(seen); err != nil {
			return err
		}
	}
}

func saveSeen(seen map[string]int) error {
	text, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(seenFile), "part")
	if err := os.WriteFile(part, text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, seenFile)
}

// arrived returns the number of frames with a source MAC that arrived at the far end
// since boot.
func (m *machine) arrived(mac string) int {
	seen := map[string]int{}
	text, err := os.ReadFile(seenFile)
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil {
		m.fatalf("frames at the LAN's other end: %v", err)
	}
	return seen[mac]
}
