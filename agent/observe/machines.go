package observe

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"berth/network"
	"berth/specs"
)

// The forms of [Holder.Machine] before the name.
const (
	formLXC      = "lxc:"     // a container of LXC, LXD or Incus
	formMachined = "machine:" // a machine of systemd-machined: of systemd-nspawn, or a container of libvirt
	formVM       = "vm:"      // a virtual machine of QEMU, also of libvirt
)

// IsMachine reports whether an ID has a form of [Holder.Machine].
func IsMachine(id string) bool {
	return slices.ContainsFunc([]string{formLXC, formMachined, formVM},
		func(form string) bool { return strings.HasPrefix(id, form) })
}

// machineOf returns the machine that a process belongs to, in a form of [Holder.Machine], or "".
func machineOf(pid int) string {
	if guest := guestName(commandLine(pid)); guest != "" {
		return formVM + guest
	}
	if name := monitoredName(commandLine(parentOf(pid))); name != "" {
		return formLXC + name
	}
	return machineIn(cgroupOf(pid))
}

// payload matches the control group of a container of LXC from 4.0 on, and of its forks.
var payload = regexp.MustCompile(`(?:^|/)lxc\.payload[./]([^/]+)`)

// scope matches the unit of a machine: of systemd-nspawn by its service, of others by a scope, whose
// name libvirt begins with its driver and a number.
var scope = regexp.MustCompile(`(?:^|/)(?:systemd-nspawn@([^/]+)\.service|` +
	`machine-(?:lxc\\x2d[0-9]+\\x2d)?([^/]+)\.scope)(?:/|$)`)

// machineIn returns the machine in the text of /proc/PID/cgroup, or "".
func machineIn(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := payload.FindStringSubmatch(line); m != nil {
			return formLXC + m[1]
		}
		if m := scope.FindStringSubmatch(line); m != nil {
			return formMachined + unescapeUnit(m[1]+m[2])
		}
	}
	return ""
}

// escaped is a byte in a systemd unit's name (systemd-escape(1)).
var escaped = regexp.MustCompile(`\\x[0-9a-f]{2}`)

func unescapeUnit(name string) string {
	return escaped.ReplaceAllStringFunc(name, func(text string) string {
		b, _ := strconv.ParseUint(text[2:], 16, 8) // the pattern has two digits
		return string([]byte{byte(b)})
	})
}

// monitorTitle is the beginning of the title of LXC's process that starts a container and waits for
// it; the directory of its containers and its name follow (lxccontainer.c). The control group's name
// has a number appended if a group of the same name was left.
const monitorTitle = "[lxc monitor] "

// monitoredName returns the name of the container that LXC's monitor with a command line waits for,
// or "" if it is another process's.
func monitoredName(line []string) string {
	title, isMonitor := strings.CutPrefix(strings.Join(line, " "), monitorTitle)
	_, name, _ := strings.Cut(strings.TrimSpace(title), " ")
	if !isMonitor {
		return ""
	}
	return name
}

// guestName returns the name of QEMU's virtual machine with a command line, or "" if it has none
// or the command is another program.
func guestName(line []string) string {
	if !isQEMU(line) {
		return ""
	}
	for i, option := range line[:len(line)-1] {
		if option == "-name" || option == "--name" {
			name, _, _ := strings.Cut(strings.TrimPrefix(line[i+1], "guest="), ",")
			return name
		}
	}
	return ""
}

// isQEMU reports whether a command line is QEMU's, by the names that distributions give to it.
func isQEMU(line []string) bool {
	if len(line) == 0 {
		return false
	}
	program := filepath.Base(line[0])
	return strings.HasPrefix(program, "qemu") || program == "kvm"
}

// FindGuests returns the virtual machines of QEMU in the host's namespace that have network cards
// with the given MACs. A macvtap interface has the MAC of the card behind it.
func FindGuests(host *network.Handle, wanted map[specs.MAC]bool) map[specs.MAC]Holder {
	found := make(map[specs.MAC]Holder, len(wanted))
	own, err := host.OwnNSID()
	if err != nil {
		return found // as without guests; the scanner returns the error
	}
	for _, pid := range network.ProcessIDs() {
		line := commandLine(pid)
		name := guestName(line)
		if name == "" {
			continue
		}
		if id, _, err := host.AssignNSIDOfProcess(pid); err != nil || id != own {
			continue
		}
		for _, mac := range cardMACs(line) {
			if _, has := found[mac]; !has && wanted[mac] {
				found[mac] = Holder{PID: pid, Machine: formVM + name, Name: name}
			}
		}
	}
	return found
}

// card matches the MAC of a network card in QEMU's options, as `-device` and `-nic` write it.
var card = regexp.MustCompile(`(?i)\bmac(?:addr)?(?:=|":\s*")([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b`)

// cardMACs returns the MACs of the network cards in QEMU's command line.
func cardMACs(line []string) (all []specs.MAC) {
	for _, option := range line {
		for _, m := range card.FindAllStringSubmatch(option, -1) {
			if mac, err := specs.ParseMAC(m[1]); err == nil {
				all = append(all, mac)
			}
		}
	}
	return all
}

// maxCommandLine bounds the bytes read of a command line.
const maxCommandLine = 128 << 10

// commandLine returns the arguments of a process, or nil if it has none or has ended.
func commandLine(pid int) []string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCommandLine))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(text, "\x00")), "\x00")
}

// parentOf returns the ID of a process's parent, or 0 if the process has ended.
func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, isParent := strings.CutPrefix(line, "PPid:"); isParent {
			parent, _ := strconv.Atoi(strings.TrimSpace(value)) // it stays 0 if the kernel's form changes
			return parent
		}
	}
	return 0
}
