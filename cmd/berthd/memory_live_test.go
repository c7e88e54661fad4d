package main

import (
	"syscall"
	"testing"

	"berth/internal/testnet"
)

// mostMapped is the most memory of its program, in MB, that an agent has mapped just after it
// gave it back. Else it is more than 12.
const mostMapped = 6

// An agent that waits gives back the pages of its program, most of its resident memory, at
// first and after scrapes.
func TestResidentMemory(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	a.waitReleased()
	l.addCrowd(100)
	testnet.Eventually(t, "all endpoints", func() bool { return l.agentStatus().Endpoints == 100 })
	for range 5 {
		a.scrapeMetrics()
	}
	a.waitReleased()
	a.stopAgent(syscall.SIGTERM)
}

func (a *agent) waitReleased() {
	a.t.Helper()
	testnet.Eventually(a.t, "the program's memory is given back", func() bool { return a.memoryField("RssFile:") <= mostMapped })
	a.t.Logf("resident: %.1f MB, of which the program's: %.1f MB", a.memoryField("VmRSS:"), a.memoryField("RssFile:"))
}
