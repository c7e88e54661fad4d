package lab

// A Container is what an engine is asked to start.
type Container struct {
	ID          string
	Args        []string
	Annotations map[string]string
}

// An Engine starts and stops containers on one host, each with berth's hook
// and no other network. What its command line printed is in the errors.
type Engine interface {
	// Start returns when the container's first process runs, with the id by
	// which the runtime and berth know the container.
	Start(c Container) (id string, err error)
	// Exec runs a program in the container and returns what it printed.
	Exec(id, name string, args ...string) (string, error)
	// Stop ends the container and removes it; the hook's poststop has run.
	Stop(id string) error
}
