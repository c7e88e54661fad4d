package top

import (
	"os"
	"os/signal"
	"syscall"

	tea "charm.land/bubbletea/v2"
)

// runProgram runs the view. At SIGHUP it ends, so that the terminal gets its usual modes and content
// back.
func runProgram(m tea.Model, options []tea.ProgramOption) error {
	p := tea.NewProgram(m, options...)
	hangup := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(hangup, syscall.SIGHUP)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-hangup:
			p.Quit()
		case <-ended:
		}
	}()
	_, err := p.Run()
	signal.Stop(hangup)
	close(ended)
	return err
}
