package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"berth/test/lab"

	"golang.org/x/sys/unix"
)

// berthsName is the name of berth's interface in a container.
const berthsName = "net1"

// A Container is a process in a network namespace of its own, with an interface that
// berth-hook created.
type Container struct {
	Place
	ID  string
	cmd *exec.Cmd
}

// A Selection is the value of the annotation berth/networks.
type Selection struct {
	Name string   `json:"name"`
	IPs  []string `json:"ips,omitempty"`
	MAC  string   `json:"mac,omitempty"`
}

// StartContainer starts a container on a host.
func StartContainer(host *lab.Host, id string, want Selection) (*Container, error) {
	cmd, path, err := startSleep()
	if err != nil {
		return nil, err
	}
	c := &Container{ID: id, cmd: cmd, Place: Place{Path: path, IfName: berthsName}}
	if err := c.attach(host, want); err != nil {
		c.kill()
		return nil, fmt.Errorf("container %q: %w", id, err)
	}
	return c, nil
}

// startSleep starts a process in a network namespace of its own, and returns the path of that.
func startSleep() (cmd *exec.Cmd, path string, err error) {
	cmd = exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	return cmd, namespaceOf(cmd.Process.Pid), nil
}

// namespaceOf returns the path of a process's network namespace.
func namespaceOf(pid int) string { return fmt.Sprintf("/proc/%d/ns/net", pid) }

func (c *Container) attach(host *lab.Host, want Selection) error {
	selection, err := json.Marshal([]Selection{want})
	if err != nil {
		return err
	}
	state := map[string]any{
		"ociVersion": "1.0.2", "id": c.ID, "status": "creating", "pid": c.cmd.Process.Pid, "bundle": "/",
		"annotations": map[string]string{"berth/networks": string(selection), "nerdctl/name": c.ID},
	}
	if err := runHook(host, "createRuntime", state); err != nil {
		return err
	}
	if _, err := c.IP("link", "set", "lo", "up"); err != nil {
		return err
	}
	return c.readAddresses()
}

// Stop ends the container as an engine does. It ends the processes first, and so the
// namespace; if alive is set, the hook runs while the namespace still exists.
func (c *Container) Stop(host *lab.Host, alive bool) error {
	if !alive {
		c.kill()
	}
	err := runHook(host, "poststop", map[string]any{"ociVersion": "1.0.2", "id": c.ID, "status": "stopped", "bundle": "/"})
	if alive {
		c.kill()
	}
	return err
}

func (c *Container) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // "signal: killed"
}

// runHook runs berth-hook as a runtime does.
func runHook(host *lab.Host, stage string, state map[string]any) error {
	stdin, err := json.Marshal(state)
	if err != nil {
		return err
	}
	hook := host.Hook(stage)
	cmd := host.Command(context.Background(), hook.Path, hook.Args[1:]...)
	cmd.Env, cmd.Stdin = hook.Env, strings.NewReader(string(stdin))
	out, err := lab.Output(cmd)
	if err != nil {
		return errors.Join(err, errors.New(out))
	}
	return nil
}

// mac returns the interface's MAC.
func (c *Container) mac() (string, error) {
	out, err := c.IP("-o", "link", "show", "dev", c.IfName)
	_, after, found := strings.Cut(out, "link/ether ")
	if err == nil && !found {
		err = fmt.Errorf("no MAC in %q", out)
	}
	mac, _, _ := strings.Cut(after, " ")
	return mac, err
}
