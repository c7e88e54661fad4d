package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"berth/hook"
	"berth/internal/state"
	"berth/specs"
)

type connectOptions struct {
	ips       []string
	mac       string
	ifname    string
	gateways  []string
	pid       int
	asJSON    bool
	network   string
	container string
}

func newNetworkConnect(env *Env) *cobra.Command {
	var o connectOptions
	cmd := &cobra.Command{
		Use: "connect NETWORK CONTAINER", Short: "give a running container an interface on a network",
		Long: "Give a running container an interface on a network, until it ends. Its next\n" +
			"start uses its annotations only. CONTAINER is the ID or name of a container\n" +
			"with an interface of berth; for any other, use --pid.",
		Example: "  berth network connect lan web --ip 192.0.2.80\n" +
			"  berth network connect lan web --pid $(podman inspect -f {{.State.Pid}} web)",
		Args:              networkNames(2, 2, "NETWORK and CONTAINER"),
		ValidArgsFunction: completeConnection(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.network, o.container = args[0], args[1]
			s, err := o.parseSelection()
			if err != nil {
				return asUsageError(cmd, err)
			}
			return connectContainer(cmd.Context(), env, &o, s)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.ips, "ip", nil, "address of the container, inside the network's subnet")
	flags.StringVar(&o.mac, "mac", "", "MAC of the interface")
	flags.StringVar(&o.ifname, "interface", "", "name of the interface (default the next netN)")
	flags.StringSliceVar(&o.gateways, "default-route", nil, "gateway of a default route that replaces the engine's")
	flags.IntVar(&o.pid, "pid", 0, "ID of a process of the container, if it has no interface of berth")
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

// parseSelection returns the flags' settings in the form of an annotation.
func (o *connectOptions) parseSelection() (s specs.Selection, err error) {
	s = specs.Selection{Network: o.network, Interface: o.ifname}
	if o.ifname != "" {
		if err := specs.CheckInterfaceName(o.ifname); err != nil {
			return s, specs.At("--interface", err)
		}
	}
	if o.mac != "" {
		if s.MAC, err = specs.ParseMAC(o.mac); err != nil {
			return s, specs.At("--mac", err)
		}
	}
	for _, text := range o.ips {
		var ip specs.IP
		if err := ip.UnmarshalText([]byte(text)); err != nil {
			return s, specs.At("--ip", err)
		}
		s.IPs = append(s.IPs, ip)
	}
	for _, text := range o.gateways {
		gw, err := netip.ParseAddr(text)
		if err != nil {
			return s, specs.Invalid("--default-route", text, "the address of a router, as 192.0.2.1")
		}
		s.DefaultRoute = append(s.DefaultRoute, gw)
	}
	if o.pid < 0 {
		return s, specs.Invalid("--pid", fmt.Sprint(o.pid), "the id of a process")
	}
	return s, nil
}

func connectContainer(ctx context.Context, env *Env, o *connectOptions, s specs.Selection) error {
	id := o.container
	if o.pid == 0 {
		var err error
		if id, err = env.containerID(ctx, o.container); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hook.Timeout)
	defer cancel()
	a, err := env.newHook().Connect(ctx, id, o.pid, s)
	if err != nil {
		return err
	}
	if o.asJSON {
		return writeJSON(env.Out, []networkUser{userOfAttachment(a)})
	}
	_, err = fmt.Fprintf(env.Out, "%s %s %s\n", a.Interface, a.MAC, strings.Join(userOfAttachment(a).Addresses, " "))
	return err
}

func userOfAttachment(a *state.Attachment) networkUser {
	u := networkUser{ContainerID: a.Containers[0], Interface: a.Interface, MAC: a.MAC,
		Addresses: []string{}, Phase: a.Phase}
	for _, p := range a.Addresses {
		u.Addresses = append(u.Addresses, p.String())
	}
	return u
}

// newHook returns a hook for an administrator, which logs to the terminal.
func (env *Env) newHook() *hook.Hook {
	log := slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return &hook.Hook{Dirs: env.dirs, Store: state.Open(env.dirs.State), Log: log,
		StartProber: hook.StartProberBeside(env.dirs)}
}

// containerID returns the ID of the live container that text identifies.
func (env *Env) containerID(ctx context.Context, text string) (string, error) {
	live, err := env.readEndpoints(ctx, false)
	if err != nil {
		return "", err
	}
	found, err := findContainer(live, text)
	if err != nil {
		return "", fmt.Errorf("%w; for a container without berth, give --pid with the ID of one of its processes", err)
	}
	return found[0].ContainerID, nil
}

func newNetworkDisconnect(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "disconnect NETWORK CONTAINER", Short: "take a running container off a network",
		Example:           "  berth network disconnect lan web",
		Args:              networkNames(2, 2, "NETWORK and CONTAINER"),
		ValidArgsFunction: completeConnection(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := env.containerID(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), hook.Timeout)
			defer cancel()
			interfaces, err := env.newHook().Disconnect(ctx, id, args[0])
			for _, name := range interfaces {
				fmt.Fprintln(env.Out, name)
			}
			return err
		},
	}
}

// completeConnection completes a network, and then a container.
func completeConnection(env *Env) cobra.CompletionFunc {
	networks, containers := completeNetworks(env), completeContainers(env)
	return func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return networks(cmd, args, text)
		}
		return containers(cmd, args[1:], text)
	}
}
