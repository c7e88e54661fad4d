// Command guest runs inside a machine of test/system. Its first argument is the part:
// lan sets up the LAN, frames counts frames at the LAN's other end, steps runs the
// steps. The suite and the pattern of steps are words of the kernel's command line.
package main

import (
	"fmt"
	"os"
)

func main() {
	part := ""
	if len(os.Args) == 2 {
		part = os.Args[1]
	}
	var err error
	switch part {
	case "lan":
		err = layOutLAN()
	case "frames":
		err = countFrames()
	case "steps":
		err = runSteps()
	default:
		err = fmt.Errorf("argument %q: want lan, frames or steps", os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}
