package daemon

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifyManager sends a state to the service manager if NOTIFY_SOCKET is set (sd_notify(3)).
func (a *Agent) notifyManager(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("cannot notify the service manager", "error", err)
	}
}

// runWatchdog confirms to the service manager that the loop still answers, twice in each
// WatchdogSec= (systemd.service(5)), until ctx is done. If the loop hangs, no confirmation
// is sent and the agent is restarted; no count is lost.
func (a *Agent) runWatchdog(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn("cannot read the watchdog interval of the service manager", "error", err)
	}
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		pong := make(chan struct{})
		select {
		case <-ctx.Done():
			return
		case a.pings <- pong:
			<-pong
			a.notifyManager(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
