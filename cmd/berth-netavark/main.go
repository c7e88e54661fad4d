// The number of processors that a cgroup grants does not matter to one thread, and Go reads
// it from files at every start.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command berth-netavark is berth's plugin of netavark, the network program of podman. podman
// runs it by the file "berth" in one of netavark's plugin directories.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"berth/engine/door"
	"berth/engine/netavark"
	"berth/hook"
	"berth/internal/config"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-netavark is berth's plugin of netavark. It gives a container of podman an
interface on a network whose driver is berth. podman and netavark start it, with
the request on standard input.

Usage:
  berth-netavark [flags] create|setup NETNS|teardown NETNS|info
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var dirs config.Dirs
	flags := flag.NewFlagSet(netavark.Program, flag.ContinueOnError)
	dirs.Flags(flags)
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, usage); !ok {
		return status
	}
	if *showVersion {
		fmt.Println(netavark.Program, version)
		return 0
	}
	if err := door.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, netavark.Program+":", err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), hook.Timeout)
	defer cancel()
	h, closeLog := door.Open(dirs)
	defer closeLog()
	p := &netavark.Plugin{Hook: h, Version: version, Stdin: os.Stdin, Stdout: os.Stdout}
	return p.Run(ctx, flags.Args())
}
