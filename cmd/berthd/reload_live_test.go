package main

import (
	"strings"
	"syscall"
	"testing"

	"berth/internal/testnet"
)

// TestHangupReloads sends the signal with which a unit reloads, and which a closed terminal
// sends: the agent reconciles everything, and goes on.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network("lan", lanFile)
	a := l.start()
	web := l.attach("web", 1)
	for n := range 3 {
		check(t, a.cmd.Process.Signal(syscall.SIGHUP))
		testnet.Eventually(t, "reloaded", func() bool { return strings.Count(a.log.String(), "msg=reloaded") > n })
	}
	web.send(5)
	web.sent(5)
	a.stop(syscall.SIGTERM)
}
