package wrapper

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"berth/engine/program"
)

// probedName is the file in STATE/state that a prober writes to, and probedFor is the time
// for which it need not be started again.
const (
	probedName = "state/probed"
	probedFor  = 15 * time.Second
)

// startProber starts berth-hook to probe for the addresses that a container will take,
// while the runtime creates the container. The prober reads the annotations in config.json. It
// changes no container, so an error does not matter: the hook then probes itself.
func (c *Call) startProber(config string) {
	path, err := findHook()
	if err != nil || !needsProber(c.Own.stateDir()) {
		return
	}
	_, _ = syscall.ForkExec(path, []string{program.Hook, "ahead", c.Own.Config, c.Own.State, config}, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// needsProber reports whether this user can read STATE, and no prober has just worked.
func needsProber(state string) bool {
	if _, err := os.ReadDir(filepath.Join(state, "state")); err != nil {
		return false
	}
	info, err := os.Stat(filepath.Join(state, probedName))
	if err != nil {
		return true
	}
	age := time.Since(info.ModTime())
	return age < 0 || age >= probedFor
}
