// Command berth-runtime is an OCI runtime that adds berth's hooks to the containers that
// request them, and then executes runc or crun.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"berth/engine/wrapper"
)

// version is set by the linker.
var version = "devel"

func main() {
	// A run takes milliseconds and is sequential. The thread is locked because its child
	// processes end with it (PR_SET_PDEATHSIG).
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	os.Exit(wrapper.Main(os.Args[0], os.Args[1:], version))
}
