// Command berth-cni is a CNI plugin: it gives containers interfaces on berth's networks. A
// CNI runtime starts it, without arguments; a script that starts it with others can choose
// other directories.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"berth/engine/cni"
	"berth/engine/door"
	"berth/hook"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-cni is berth's CNI plugin. It gives a container an interface on one of
berth's networks. A CNI runtime starts it, with the request in the environment
(CNI_COMMAND and others) and the plugin's configuration on standard input.

Usage:
  berth-cni [flags]
`

func main() { os.Exit(runProgram(os.Args[1:])) }

func runProgram(args []string) int {
	p := &door.Program{Name: cni.Program, Version: version, Usage: usage, Check: checkCall, Answer: answer}
	return p.Main(args)
}

// checkCall returns an error if the program has arguments, or was not started by a CNI runtime.
func checkCall(arguments []string) error {
	switch {
	case len(arguments) > 0:
		return fmt.Errorf("%s: unexpected argument %q; the program takes only flags", cni.Program, arguments[0])
	case os.Getenv("CNI_COMMAND") == "":
		return fmt.Errorf("%s %s is a CNI plugin, of the protocol's versions %s", cni.Program, version,
			strings.Join(cni.Versions, ", "))
	}
	return nil
}

func answer(ctx context.Context, h *hook.Hook, _ []string) int {
	p := &cni.Plugin{
		Dirs: h.Dirs, Store: h.Store, Log: h.Log, Interruptible: h.Interruptible, StartProber: h.StartProber,
		Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout,
	}
	return p.Run(ctx)
}
