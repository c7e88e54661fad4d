package check

import (
	"path/filepath"

	"berth/internal/config"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Checker gathers the facts of a host and judges them. It changes nothing.
type Checker struct {
	Dirs config.Dirs
	Host *network.Handle // of the namespace that parents are in
	Root string          // below which files of the system are looked for; "": /
	Path []string        // directories of executables, absolute

	Agent    *specs.AgentStatus // what the agent says of itself; nil: nothing, because of AgentErr
	AgentErr error

	Name func(*state.Attachment) string // what a person calls the container; nil: its id
}

// path returns where a file of the system is looked for.
func (c *Checker) path(absolute string) string { return filepath.Join("/", c.Root, absolute) }

// name returns what a container is called in messages.
func (c *Checker) name(a *state.Attachment) string {
	if c.Name != nil {
		return c.Name(a)
	}
	return a.Containers[0]
}
