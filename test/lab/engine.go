package lab

import (
	"fmt"
	"strings"
)

// A Container describes a container for an engine to start.
type Container struct {
	ID          string
	Args        []string
	Annotations map[string]string
	Network     string // "" for an empty namespace of its own, else one of the names below
	UserNS      bool   // in a user namespace of its own
}

// HostNetwork is the network of a container without a network namespace of its own.
const HostNetwork = "host"

// EngineNetwork is the network of a container whose engine makes one in its namespace.
const EngineNetwork = "engine"

// Join is the network of another container, by its name.
func Join(id string) string { return joinPrefix + id }

const joinPrefix = "container:"

// Pod returns the network of a pod of podman.
func Pod(name string) string { return podPrefix + name }

const podPrefix = "pod:"

// An Engine starts and stops containers on one host, each with berth's hook and, unless
// requested, no other network. Its errors contain the output of its command line.
type Engine interface {
	// Start returns when the container's first process runs, with the id that the
	// runtime and berth use for the container.
	Start(c Container) (id string, err error)
	// Exec runs a program in the container and returns its standard output.
	Exec(id, name string, args ...string) (string, error)
	// PID returns the pid of the container's first process.
	PID(id string) (int, error)
	// Restart starts a container again, whether it runs or has ended.
	Restart(id string) error
	// Stop ends the container and removes it. The hook's poststop has run.
	Stop(id string) error
}

// inspectedName returns the name of a container from docker's "inspect" command.
func inspectedName(run func(args ...string) (string, error), id string) (string, error) {
	out, err := run("inspect", "--format", "{{.Name}}", id)
	return strings.TrimPrefix(strings.TrimSpace(out), "/"), err
}

// inspectedPID returns the process of a container from docker's "inspect" command.
func inspectedPID(run func(args ...string) (string, error), id string) (pid int, err error) {
	out, err := run("inspect", "--format", "{{.State.Pid}}", id)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscan(out, &pid); err != nil {
		return 0, err
	}
	if pid == 0 {
		return 0, fmt.Errorf("container %q does not run", id)
	}
	return pid, nil
}
