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
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	for n := range 3 {
		mustSucceed(t, a.cmd.Process.Signal(syscall.SIGHUP))
		testnet.Eventually(t, "reloaded", func() bool { return strings.Count(a.log.String(), "msg=reloaded") > n })
	}
	web.sendFrames(5)
	web.waitSent(5)
	a.stopAgent(syscall.SIGTERM)
}
