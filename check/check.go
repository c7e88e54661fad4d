package check

import (
	"path/filepath"

	"berth/internal/config"
	"berth/internal/foreign"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Checker gathers the facts of a host and judges them. It changes nothing.
type Checker struct {
	Dirs config.Dirs
	Host *network.Handle // of the parents' namespace
	Root string          // root directory of the system's files; "" for /
	Path []string        // directories of executables, absolute

	Agent    *specs.AgentStatus // the agent's status; nil if none, because of AgentErr
	AgentErr error

	DockerNetworks func() ([]foreign.Network, error) // returns docker's; nil if they are not checked

	Name func(*state.Attachment) string // returns a container's name for a person; if nil, its ID is used
}

// underRoot returns the path of a system file below Root.
func (c *Checker) underRoot(absolute string) string { return filepath.Join("/", c.Root, absolute) }

// nameOf returns a container's name for messages.
func (c *Checker) nameOf(a *state.Attachment) string {
	if c.Name != nil {
		return c.Name(a)
	}
	return a.Containers[0]
}
