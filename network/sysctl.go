package network

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// sysctl is a file below /proc/sys/net and its value.
type sysctl struct{ path, value string }

// opener opens a file in a namespace.
type opener func(path string, flags int) (int, error)

// openHere opens a file in the namespace of the calling thread.
func openHere(path string, flags int) (int, error) { return unix.Open(path, flags, 0) }

// writeSysctls writes sysctls in the namespace.
func (n *Namespace) writeSysctls(all []sysctl) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return writeSysctls(n.openFile, all)
}

func writeSysctls(open opener, all []sysctl) error {
	for _, s := range all {
		err := writeSysctl(open, s)
		if isErrno(err, unix.ENOENT) {
			err = fmt.Errorf("%w (%w)", ErrNoLink, err)
		}
		if err != nil {
			return fmt.Errorf("write %s to %s: %w", s.value, s.path, err)
		}
	}
	return nil
}

// writeSysctl does not use os.File, which would check for every file whether it
// can be polled. If the file cannot be written, writeSysctl succeeds if it has
// its value already, as in a container with a read-only /proc/sys.
func writeSysctl(open opener, s sysctl) error {
	fd, err := open("/proc/sys/net/"+s.path, unix.O_WRONLY|unix.O_CLOEXEC)
	if (isErrno(err, unix.EROFS) || isErrno(err, unix.EACCES)) && s.isSet(open) {
		return nil
	}
	if isErrno(err, unix.EROFS) {
		return fmt.Errorf("/proc/sys is mounted read-only (%w); remount it: mount -o remount,rw /proc/sys", err)
	}
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(s.value))
	return errors.Join(err, unix.Close(fd))
}

// networkSysctls returns the sysctls of a network for one interface, in the order of their names.
func networkSysctls(ifname string, of specs.Sysctls) (all []sysctl) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		if dir, name, ok := specs.SplitSysctl(key); ok {
			path := strings.ReplaceAll(dir, ".", "/") + "/" + ifname + "/" + name
			all = append(all, sysctl{path, strconv.Itoa(of[key])})
		}
	}
	return all
}

// SetSysctls writes the sysctls of a network for an interface. Errors: [ErrUnsupported] if the
// kernel does not have one.
func (n *Namespace) SetSysctls(ifname string, of specs.Sysctls) error {
	all := networkSysctls(ifname, of)
	if len(all) == 0 {
		return nil
	}
	if err := specs.CheckInterfaceName(ifname); err != nil { // the name becomes part of a path
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range all {
		err := writeSysctl(n.openFile, s)
		if isErrno(err, unix.ENOENT) {
			err = fmt.Errorf("%w: this kernel does not have the setting", ErrUnsupported)
		}
		if err != nil {
			return fmt.Errorf("write %s to /proc/sys/net/%s (sysctls of the network): %w", s.value, s.path, err)
		}
	}
	return nil
}

// isSet reports whether a sysctl has its value already.
func (s sysctl) isSet(open opener) bool {
	fd, err := open("/proc/sys/net/"+s.path, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return false
	}
	file := os.NewFile(uintptr(fd), s.path)
	defer file.Close()
	text, err := io.ReadAll(file)
	return err == nil && string(bytes.TrimSpace(text)) == s.value
}

// UnsetSysctls returns, if /proc/sys is read-only, the settings that a network
// requires of its containers' interfaces and that a new network namespace does
// not have. With any of them, no container can start on the network. It makes a
// namespace, which requires CAP_SYS_ADMIN.
func UnsetSysctls(n *specs.Network) (unset []string, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs("/proc/sys", &fs); err != nil || fs.Flags&unix.ST_RDONLY == 0 {
		return nil, err
	}
	needed := ipv6Sysctls("default", IPv6SettingsOf(n, n.HasIPv6()))
	needed = append(needed, networkSysctls("default", n.Sysctls)...)
	announces := n.Mode != specs.ModeL3 && n.Mode != specs.ModeL3S
	if announces && n.HasIPv4() {
		needed = append(needed, sysctl{"ipv4/conf/default/arp_notify", "1"})
	}
	if announces && n.HasIPv6() {
		needed = append(needed, sysctl{"ipv6/conf/default/ndisc_notify", "1"})
	}
	without := CheckIPv6() != nil
	err = inNewNamespace(func() {
		needed = slices.DeleteFunc(needed, func(s sysctl) bool {
			return s.isSet(openHere) || without && strings.HasPrefix(s.path, "ipv6/")
		})
	})
	for _, s := range needed {
		unset = append(unset, "net."+strings.ReplaceAll(s.path, "/", ".")+"="+s.value)
	}
	return unset, err
}
