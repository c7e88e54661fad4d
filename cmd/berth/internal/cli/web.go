package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/internal/config"
	"berth/internal/regular"
)

const webLong = `Start berth-web, if it does not run, and print the address of its page: parents,
VLANs and the containers on them, their traffic and violations, in a browser.
The address has a token: everyone who has it can see the page, until the machine
restarts. The page listens on 127.0.0.1 only; to open it from another machine,
forward the port with ssh -L 9478:127.0.0.1:9478 HOST. The command needs
systemd; without it, run berth-web.`

// webUnit serves the page. It requires the unit of its socket.
const webUnit = "berth-web.service"

func newWeb(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "web", Short: "show the LAN in a browser", Long: webLong, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.needRoot(cmd.CommandPath()); err != nil {
				return err
			}
			return startWeb(cmd.Context(), env)
		},
	}
}

// startWeb prints the address of the page once the page is served.
func startWeb(ctx context.Context, env *Env) error {
	if err := startUnit(ctx, env.systemctl, webUnit); err != nil {
		return err
	}
	address, err := regular.Read(env.webAddress, 4<<10)
	if err != nil {
		return fmt.Errorf("read the address of the page: %w; see `journalctl -u berth-web`", err)
	}
	if _, err := client.New(env.dirs.State).Status(ctx); err != nil {
		env.warnf("the page will be empty for now: %v", err)
	}
	_, err = fmt.Fprint(env.Out, string(address))
	return err
}

// startUnit starts a unit of systemd and waits until it is ready.
func startUnit(ctx context.Context, systemctl, unit string) error {
	out, err := exec.CommandContext(ctx, systemctl, "start", unit).CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("start %s: this machine has no systemctl; run berth-web, which prints the address", unit)
	case strings.Contains(string(out), "not found"):
		return fmt.Errorf("start %s: the unit is missing; copy deploy/systemd/* to /etc/systemd/system, "+
			"or run berth-web, which prints the address", unit)
	case err != nil:
		return fmt.Errorf("start %s: %w: %s", unit, err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

// setWebDefaults sets the places that [startWeb] uses outside of tests.
func (env *Env) setWebDefaults() {
	env.systemctl, env.webAddress = "systemctl", config.WebAddressFile
}
