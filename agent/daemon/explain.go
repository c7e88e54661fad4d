package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/agent/ground"
	"berth/bpf/sys"
	"berth/network"
)

// explainDatapath adds the remedy to an error of the datapath, and joins it to one line.
func explainDatapath(err error) error {
	switch _, noBTF := os.Stat("/sys/kernel/btf/vmlinux"); {
	case errors.Is(err, ground.ErrRunning): // has its remedy
	case errors.Is(err, ebpf.ErrMapIncompatible):
		err = fmt.Errorf("%w: maps of another size are pinned there; remove them, with their counts, by `berth agent "+
			"detach --purge`", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: run berthd as root with %s", err, ground.Needed())
	case errors.Is(err, network.ErrOldKernel): // complete as it is
	case errors.Is(err, unix.EROFS):
		err = fmt.Errorf("%w: the BPF file system must be writable; in berthd's unit set ReadWritePaths=/sys/fs/bpf "+
			"and remove ProtectKernelTunables=, or name a directory of another BPF file system with --bpffs", err)
	case errors.Is(err, ebpf.ErrNotSupported) && noBTF != nil:
		err = fmt.Errorf("%w: this kernel has no BTF; use one with CONFIG_DEBUG_INFO_BTF", err)
	case errors.Is(err, ebpf.ErrNotSupported):
		err = fmt.Errorf("%w: the kernel is too old; berth needs Linux %s or newer", err, network.LeastKernel)
	}
	return oneLine(err)
}

// explainState adds the remedy to an error of the state directory.
func explainState(err error) error {
	if errors.Is(err, unix.EROFS) {
		return oneLine(fmt.Errorf("%w: name a writable directory with --state", err))
	}
	return explainDatapath(err)
}

// explainListen adds the remedy to an error of the metrics listener.
func explainListen(err error) error {
	var wrong *net.AddrError
	var dns *net.DNSError
	help := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		help = `another process listens there; choose another address with --metrics, or "" to listen nowhere`
	case errors.Is(err, unix.EADDRNOTAVAIL):
		help = "no interface of this host has that address; choose another with --metrics"
	case errors.Is(err, fs.ErrPermission):
		help = "choose a port from 1024 on with --metrics, or give berthd's unit CAP_NET_BIND_SERVICE"
	case errors.As(err, &wrong), errors.As(err, &dns):
		help = "write --metrics as HOST:PORT, such as 127.0.0.1:9477"
	default:
		return oneLine(err)
	}
	return oneLine(fmt.Errorf("%w: %s", err, help))
}

// explainAttach adds the remedy to an error of attaching programs to a parent; attach is
// the setting.
func explainAttach(attach string, err error) error {
	if attach == "tcx" && errors.Is(err, sys.ErrNotSupported) {
		return oneLine(fmt.Errorf("%w: kernels before 6.6 have no tcx; set attach = \"auto\" under [agent] in berth.toml",
			err))
	}
	return explainDatapath(err)
}

// oneLine joins the lines of an error's text.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if !strings.Contains(text, "\n") {
		return err
	}
	return errors.New(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// explainSocket adds the remedy to an error of the agent's own socket.
func explainSocket(err error) error {
	var group user.UnknownGroupError
	switch {
	case errors.As(err, &group):
		err = fmt.Errorf("%w: create the group, or correct socket_group under [agent] in berth.toml", err)
	case errors.Is(err, unix.EPERM):
		err = fmt.Errorf("%w: to give the socket to a group, berthd must have CAP_CHOWN or be in that group; set "+
			"SupplementaryGroups= in its unit", err)
	}
	return oneLine(err)
}
