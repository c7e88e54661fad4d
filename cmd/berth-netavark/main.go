// Command berth-netavark is berth's plugin of netavark, the network program of podman. podman
// runs it by the file "berth" in one of netavark's plugin directories.
package main

import (
	"context"
	"os"

	"berth/engine/door"
	"berth/engine/netavark"
	"berth/hook"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-netavark is berth's plugin of netavark. It gives a container of podman an
interface on a network whose driver is berth. podman and netavark start it, with
the request on standard input.

Usage:
  berth-netavark [flags] create|setup NETNS|teardown NETNS|info
`

func main() {
	p := &door.Program{Name: netavark.Program, Version: version, Usage: usage, Answer: answer}
	os.Exit(p.Main(os.Args[1:]))
}

func answer(ctx context.Context, h *hook.Hook, arguments []string) int {
	p := &netavark.Plugin{Hook: h, Version: version, Stdin: os.Stdin, Stdout: os.Stdout}
	return p.Run(ctx, arguments)
}
