package states

import (
	"os/exec"
	"strings"
	"syscall"
	"time"

	"berth/internal/testnet"
)

// agent is a running berthd.
type agent struct {
	cmd  *exec.Cmd
	done chan error
	log  testnet.Output
}

// startAgent starts an agent, and with wait set waits until it is ready.
func (w *world) startAgent(wait bool) {
	a := &agent{cmd: w.program("agent"), done: make(chan error, 1)}
	a.cmd.Stderr = &a.log
	var err error
	testnet.In(w.T, w.host, func() { err = a.cmd.Start() })
	must(w.T, err)
	go func() { a.done <- a.cmd.Wait() }()
	w.agent = a
	if wait {
		w.waitAgent()
	}
}

// waitAgent waits until the agent is ready.
func (w *world) waitAgent() {
	testnet.Eventually(w.T, "the agent is ready", func() bool {
		select {
		case err := <-w.agent.done:
			w.Fatalf("the agent ended by itself: %v\n%s", err, w.agent.log.String())
		default:
		}
		return strings.Contains(w.agent.log.String(), "msg=ready")
	})
	w.watched = true
}

// stopAgent ends the agent by a signal.
func (w *world) stopAgent(signal syscall.Signal) {
	if w.agent == nil {
		return
	}
	must(w.T, w.agent.cmd.Process.Signal(signal))
	select {
	case err := <-w.agent.done:
		if signal != syscall.SIGKILL && err != nil {
			w.Errorf("the agent ended with %v\n%s", err, w.agent.log.String())
		}
	case <-time.After(time.Minute):
		w.Fatalf("the agent did not end\n%s", w.agent.log.String())
	}
	w.agent = nil
}
