// Command berth-web serves a page that shows the containers on the LAN, their traffic and
// their violations. It reads the agent's socket, needs no privilege and changes nothing.
package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"berth/cmd/berth-web/internal/web"
	"berth/internal/config"
	"berth/internal/service"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-web serves a page that shows the containers on the LAN, their traffic and
their violations. It reads the agent's socket and changes nothing. It needs no
privilege, except to read the socket: run it as root or as a member of
socket_group.

Usage:
  berth-web [flags]
`

// options are the flags of the program.
type options struct {
	listen    string
	cert, key string
	tokenFile string
	hosts     []string
}

func main() { os.Exit(runProgram(os.Args[1:])) }

func runProgram(args []string) int {
	p := service.New("berth-web", version, usage)
	var o options
	p.Flags.StringVar(&o.listen, "listen", "127.0.0.1:9478", "`ADDRESS` of the page; other than loopback needs TLS")
	p.Flags.StringVar(&o.cert, "tls-cert", "", "`FILE` with the TLS certificate")
	p.Flags.StringVar(&o.key, "tls-key", "", "`FILE` with the key of the certificate")
	p.Flags.StringVar(&o.tokenFile, "token-file", defaultTokenFile(), "`FILE` with the token; created if absent")
	p.Flags.Func("host", "another `NAME` by which the page is opened; repeatable", func(s string) error {
		o.hosts = append(o.hosts, s)
		return nil
	})
	return p.Main(args, o.validate, func(log *slog.Logger) error { return o.serve(p.Dirs.State, log) })
}

// announce makes the page's address known: in the file that `berth web` prints, or, if
// systemd has made no directory for it, on the standard output.
func (o *options) announce(address string, g *web.Guard, log *slog.Logger) error {
	url := web.URL(address, g.Hosts, g.Token, g.TLS)
	dir := runtimeDirectory()
	if dir == "" {
		_, err := fmt.Println(url)
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(config.WebAddressFile)), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("store the page's address for berth web: %w", err)
	}
	log.Info("serving", "address", address, "token_file", o.tokenFile)
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("systemd is not notified", "error", err)
	}
	return nil
}

// ownNames returns the names by which the page can be opened at an address to listen on:
// the address itself, or the machine's name if that means every address.
func ownNames(address string) []string {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil
	}
	if !at.Addr().IsUnspecified() {
		return []string{at.Addr().String()}
	}
	name, err := os.Hostname()
	if err != nil {
		return nil
	}
	return []string{name}
}

// runtimeDirectory returns the directory that systemd has made, or "".
func runtimeDirectory() string {
	dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return dir
}

// defaultTokenFile returns the token's file in the directory that systemd made, or "" for a
// token in memory.
func defaultTokenFile() string {
	dir := runtimeDirectory()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "token")
}

func (o *options) validate() error {
	if (o.cert == "") != (o.key == "") {
		return fmt.Errorf("--tls-cert and --tls-key: want both or none")
	}
	return nil
}

func (o *options) serve(stateDir string, log *slog.Logger) error {
	unix.Umask(0o077)
	ctx, stop := service.UntilSignal()
	defer stop()
	g := &web.Guard{Hosts: o.hosts, TLS: o.cert != ""}
	var err error
	if o.tokenFile == "" {
		g.Token = web.NewToken()
	} else if g.Token, err = web.LoadToken(o.tokenFile); err != nil {
		return err
	}
	l, err := web.Listen(o.listen, g.TLS)
	if err != nil {
		return err
	}
	g.Hosts = append(g.Hosts, ownNames(l.Addr().String())...)
	if err := o.announce(l.Addr().String(), g, log); err != nil {
		return err
	}
	return web.Serve(ctx, l, g, web.NewAgentSource(stateDir), o.cert, o.key, log)
}
