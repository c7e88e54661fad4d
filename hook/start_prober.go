package hook

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"berth/internal/config"
)

// ProberStage is the argument by which berth-hook is a prober, the process that an attach
// leaves behind for the time of one probe: "ahead CONFIG STATE NETWORK[=ADDRESS,ADDRESS]…". It
// is not part of the contract.
const ProberStage = "ahead"

// proberProgram is the program that has that stage.
const proberProgram = "berth-hook"

// StartProber returns a function for [Hook.StartProber] that starts a prober. The prober has no
// standard streams, so that a reader of the caller's streams does not wait for it, and a
// session of its own, so that no signal to the caller's group reaches it.
func StartProber(program string, dirs config.Dirs) func([]ProbeRequest) error {
	return func(all []ProbeRequest) error {
		args := []string{proberProgram, ProberStage, dirs.Config, dirs.State}
		for _, each := range all {
			args = append(args, each.format())
		}
		_, err := syscall.ForkExec(program, args, &syscall.ProcAttr{
			Dir: "/", Env: []string{}, Files: []uintptr{}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		return os.NewSyscallError("fork", err)
	}
}

// StartProberBeside is StartProber with the berth-hook that is installed beside the running
// program, whose links are resolved. It returns nil if there is none: the caller then probes
// for each address itself.
func StartProberBeside(dirs config.Dirs) func([]ProbeRequest) error {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	program := filepath.Join(filepath.Dir(self), proberProgram)
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		return nil
	}
	return StartProber(program, dirs)
}

func (a ProbeRequest) format() string {
	text := a.Network
	for i, addr := range a.Taken {
		text += map[bool]string{true: "=", false: ","}[i == 0] + addr.String()
	}
	return text
}

// ParseProbeRequest parses an argument of a prober: the name of a network, and the addresses that
// are probed for once more.
func ParseProbeRequest(text string) (a ProbeRequest, err error) {
	name, list, taken := strings.Cut(text, "=")
	a.Network = name
	if !taken {
		return a, nil
	}
	for one := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(one)
		if err != nil {
			return a, fmt.Errorf("network %q: %w", name, err)
		}
		a.Taken = append(a.Taken, addr)
	}
	return a, nil
}
