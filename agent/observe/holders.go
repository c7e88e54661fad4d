package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"berth/network"
)

// Holder is the container or process that lives in a namespace, or the file that it is mounted
// at.
type Holder struct {
	PID         int    // the lowest ID of its processes, or 0 if the file is its holder
	ContainerID string // of that process, from its control group, or ""
	Machine     string // the LXC container, machine or virtual machine of that process: "lxc:NAME" and the like, or ""
	Name        string // of the machine, the process or the file, or ""
}

// IsLasting reports whether the holder stays as long as the namespace: it is a container or a machine.
func (h Holder) IsLasting() bool { return h.ContainerID != "" || h.Machine != "" }

// holderOf returns the holder that a process is.
func holderOf(pid int) Holder {
	h := Holder{PID: pid, ContainerID: containerIn(cgroupOf(pid)), Name: commandOf(pid)}
	if h.ContainerID == "" {
		h.Machine = machineOf(pid)
	}
	if _, name, isMachine := strings.Cut(h.Machine, ":"); isMachine {
		h.Name = name
	}
	return h
}

// containerID matches a container's ID in the path of a control group, as docker, podman,
// CRI-O, containerd and nerdctl write it.
var containerID = regexp.MustCompile(`(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:/|$)`)

// FindHolders returns the holders of the namespaces with the given IDs. One without a process
// and a file is left out. The values of wanted are the processes that are known as holders, or 0.
//
// The container or machine comes first, then the file, then the process: any process may enter a
// namespace for a moment, as `ip netns exec` does. For the same reason a known process stays
// the holder as long as it is in the namespace.
func FindHolders(host *network.Handle, wanted map[int]int) map[int]Holder {
	found, processes := make(map[int]Holder, len(wanted)), make(map[int]Holder)
	for _, pid := range network.ProcessIDs() {
		if len(found) == len(wanted) {
			return found
		}
		id, _, err := host.AssignNSIDOfProcess(pid)
		known, isWanted := wanted[id]
		if _, has := found[id]; err != nil || has || !isWanted {
			continue // it has ended, or is of no interest
		}
		holder := holderOf(pid)
		if _, has := processes[id]; holder.IsLasting() {
			found[id] = holder
		} else if !has || pid == known {
			processes[id] = holder
		}
	}
	for _, path := range network.NamespaceFiles() {
		if len(found) == len(wanted) {
			return found
		}
		id, _, err := host.AssignNSIDOfFile(path)
		_, isWanted := wanted[id]
		if _, has := found[id]; err == nil && !has && isWanted {
			found[id] = Holder{Name: filepath.Base(path)}
		}
	}
	for id, holder := range processes {
		if _, has := found[id]; !has {
			found[id] = holder
		}
	}
	return found
}

// cgroupOf returns the text of /proc/PID/cgroup (cgroups(7)), or "" if the process has ended.
func cgroupOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	return string(text)
}

// containerIn returns the container's ID in the text of /proc/PID/cgroup: that of the innermost
// container.
func containerIn(text string) string {
	for line := range strings.Lines(text) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, path, _ = strings.Cut(path, ":")
		id := ""
		for path != "" {
			at := containerID.FindStringSubmatchIndex(path)
			if at == nil {
				break
			}
			id, path = path[at[2]:at[3]], path[at[3]:]
		}
		if id != "" {
			return id
		}
	}
	return ""
}

// commandOf returns the name of a process's command, or "" if it has ended.
func commandOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
