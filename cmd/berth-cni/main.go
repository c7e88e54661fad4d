// The number of processors that a cgroup grants does not matter to one thread, and Go reads
// it from files at every start.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command berth-cni is a CNI plugin: it gives containers interfaces on berth's networks. A
// CNI runtime starts it, without arguments; a script that starts it with others can choose
// other directories.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"berth/engine/cni"
	"berth/engine/door"
	"berth/hook"
	"berth/internal/config"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-cni is berth's CNI plugin. It gives a container an interface on one of
berth's networks. A CNI runtime starts it, with the request in the environment
(CNI_COMMAND and others) and the plugin's configuration on standard input.

Usage:
  berth-cni [flags]
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var dirs config.Dirs
	flags := flag.NewFlagSet(cni.Program, flag.ContinueOnError)
	dirs.Flags(flags)
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, usage); !ok {
		return status
	}
	switch {
	case *showVersion:
		fmt.Println(cni.Program, version)
		return 0
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "%s: unexpected argument %q; the program takes only flags\n", cni.Program, flags.Arg(0))
		return 2
	case os.Getenv("CNI_COMMAND") == "":
		fmt.Fprintf(os.Stderr, "%s %s is a CNI plugin, of the protocol's versions %s\n", cni.Program, version, strings.Join(cni.Versions, ", "))
		return 2
	}
	return runPlugin(dirs)
}

func runPlugin(dirs config.Dirs) int {
	if err := door.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, cni.Program+":", err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), hook.Timeout)
	defer cancel()
	h, closeLog := door.Open(dirs)
	defer closeLog()
	p := &cni.Plugin{
		Dirs: dirs, Store: h.Store, Log: h.Log, Interruptible: h.Interruptible, Ahead: h.Ahead,
		Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout,
	}
	return p.Run(ctx)
}
