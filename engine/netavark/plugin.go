package netavark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"berth/engine/door"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Driver is the name of the driver, by which netavark finds the plugin's file.
const Driver = "berth"

// Program is the name of the program, to which that file leads.
const Program = "berth-netavark"

// api is the version of the protocol, which has no other yet.
const api = "1.0.0"

// Plugin answers one command of podman or netavark.
type Plugin struct {
	Hook    *hook.Hook
	Version string // of the program
	Stdin   io.Reader
	Stdout  io.Writer
}

// command is one command of the protocol.
type command struct {
	arguments int // after its name
	do        func(*Plugin, context.Context, []string) (any, error)
}

var commands = map[string]command{
	"create":   {0, (*Plugin).create},
	"setup":    {1, (*Plugin).setup},
	"teardown": {1, (*Plugin).teardown},
	"info":     {0, (*Plugin).info},
}

// Run answers the command of the arguments, and returns the program's exit status.
func (p *Plugin) Run(ctx context.Context, args []string) int {
	answer, err := p.answer(ctx, args)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; run podman as root: without it podman has no rights over the host's interfaces", err)
	}
	if err != nil {
		p.Hook.Log.Error(Program, "arguments", args, "error", err)
		answer = failure{Program + ": " + err.Error()}
	}
	if answer != nil {
		text, encodeErr := json.Marshal(answer)
		_, writeErr := p.Stdout.Write(append(text, '\n'))
		err = errors.Join(err, encodeErr, writeErr)
	}
	if err != nil {
		return 1
	}
	return 0
}

// failure is the answer that podman shows as an error.
type failure struct {
	Error string `json:"error"`
}

func (p *Plugin) answer(ctx context.Context, args []string) (any, error) {
	if len(args) == 0 {
		return nil, specs.Invalid("command", "", "create, setup, teardown or info; podman runs this program")
	}
	c, ok := commands[args[0]]
	if !ok {
		return nil, specs.Invalid("command", args[0], "create, setup, teardown or info")
	}
	if len(args)-1 != c.arguments {
		return nil, specs.Invalid("arguments of "+args[0], args[len(args)-1],
			"the path of a network namespace for setup and teardown, and nothing for others")
	}
	return c.do(p, ctx, args[1:])
}

func (p *Plugin) info(context.Context, []string) (any, error) {
	return struct {
		Version string `json:"version"`
		API     string `json:"api_version"`
	}{p.Version, api}, nil
}

// create checks a new network, and returns its text.
func (p *Plugin) create(ctx context.Context, _ []string) (any, error) {
	data, err := door.ReadRequest(ctx, p.Stdin, specs.MaxNetavark)
	if err != nil {
		return nil, err
	}
	n, err := specs.ParseNetavarkNetwork(data)
	if err != nil {
		return nil, err
	}
	if err := n.AdoptIPAM(); err != nil {
		return nil, err
	}
	if err := p.leaveOutRepeated(n); err != nil {
		return nil, err
	}
	s, err := n.Selection()
	if err != nil {
		return nil, err
	}
	if err := p.Hook.Allow(s); err != nil {
		return nil, door.AtNetwork("-o network", err)
	}
	if s.InPlace != nil {
		if err := ipam.CheckPools(s.InPlace); err != nil {
			return nil, err
		}
	}
	text, err := specs.RewriteNetavarkNetwork(data, n)
	return json.RawMessage(text), err
}

// leaveOutRepeated accepts the subnets of a network of berth's beside its name, as docker requires
// them.
func (p *Plugin) leaveOutRepeated(n *specs.NetavarkNetwork) error {
	name := n.NamesNetwork()
	if name == "" || len(n.Subnets) == 0 {
		return nil
	}
	of, err := config.Network(p.Hook.Dirs.Config, name)
	if err != nil {
		return specs.At("-o network", err)
	}
	return n.LeaveOutRepeated(of)
}

// setup gives the container its interface.
func (p *Plugin) setup(ctx context.Context, args []string) (any, error) {
	c, err := p.readCall(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.Selection()
	if err != nil {
		return nil, err
	}
	all, err := p.Hook.Attach(ctx, hook.Sandbox{
		ID: c.ContainerID, NetNS: args[0], Hostname: c.ContainerName, Door: doorOf(c), KeepDefault: true,
	}, []specs.Selection{s})
	if err != nil {
		return nil, door.AtNetwork("-o network", err)
	}
	return statusOf(all[0]), nil
}

// teardown takes the interface back. It does not need the namespace, and succeeds if there is
// nothing.
func (p *Plugin) teardown(ctx context.Context, _ []string) (any, error) {
	c, err := p.readCall(ctx)
	if err != nil {
		return nil, err
	}
	if err := specs.CheckInterfaceName(c.Options.Interface); err != nil {
		return nil, specs.At("interface_name", err)
	}
	_, err = p.Hook.Detach(ctx, c.ContainerID, hook.Which{Interface: c.Options.Interface, Door: doorOf(c)})
	return nil, err
}

func (p *Plugin) readCall(ctx context.Context) (*specs.NetavarkCall, error) {
	data, err := door.ReadRequest(ctx, p.Stdin, specs.MaxNetavark)
	if err != nil {
		return nil, err
	}
	return specs.ParseNetavarkCall(data)
}

func doorOf(c *specs.NetavarkCall) *state.Door {
	return &state.Door{Name: state.DoorNetavark, Network: c.Network.Name}
}
