package lab

import "fmt"

// A Container is what an engine is asked to start.
type Container struct {
	ID          string
	Args        []string
	Annotations map[string]string
	Network     string // "": a namespace of its own and nothing in it; else one of the names below
	UserNS      bool   // in a user namespace of its own
}

// HostNetwork is a container without a network namespace of its own.
const HostNetwork = "host"

// EngineNetwork is a container whose engine makes a network in its namespace.
const EngineNetwork = "engine"

// Join is the network of another container, by its name.
func Join(id string) string { return joinPrefix + id }

const joinPrefix = "container:"

// An Engine starts and stops containers on one host, each with berth's hook
// and, unless asked for, no other network. What its command line printed is in
// the errors.
type Engine interface {
	// Start returns when the container's first process runs, with the id by
	// which the runtime and berth know the container.
	Start(c Container) (id string, err error)
	// Exec runs a program in the container and returns its standard output.
	Exec(id, name string, args ...string) (string, error)
	// PID is that of the container's first process.
	PID(id string) (int, error)
	// Restart starts a container again that has ended, or runs.
	Restart(id string) error
	// Stop ends the container and removes it; the hook's poststop has run.
	Stop(id string) error
}

// inspectedPID asks an engine with docker's "inspect" for a container's process.
func inspectedPID(run func(args ...string) (string, error), id string) (pid int, err error) {
	out, err := run("inspect", "--format", "{{.State.Pid}}", id)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(out, &pid)
	return pid, err
}
