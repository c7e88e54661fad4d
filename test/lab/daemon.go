package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A Daemon is a program that runs until it is stopped.
type Daemon struct {
	cmd   *exec.Cmd
	Log   string        // path of its output
	ended chan struct{} // closed once it has ended
	exit  error         // that of its end
}

// start runs a program on the machine with its output in a file.
func (m *Machine) start(log, name string, args ...string) (*Daemon, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	// nsenter replaces itself by the program, so the pid is the program's.
	cmd := m.Command(context.Background(), name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &Daemon{cmd: cmd, Log: log, ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		d.exit = cmd.Wait()
	}()
	return d, nil
}

// Start runs a program on the machine until it is stopped, with its output in a
// file.
func (m *Machine) Start(log, name string, args ...string) (*Daemon, error) {
	return m.start(log, name, args...)
}

// Stop sends the daemon an interrupt, and returns its exit error.
func (d *Daemon) Stop() error {
	_ = d.cmd.Process.Signal(os.Interrupt) // it may have ended already; Wait has its status
	select {
	case <-d.ended:
		return d.exit
	case <-time.After(patience):
		return fmt.Errorf("%s does not end: %s", d.cmd.Args, d.abort())
	}
}

// abort ends the daemon by SIGQUIT, or else by SIGKILL. It returns the lines that the daemon then wrote
// to its log: a program in Go writes the stack of each goroutine.
func (d *Daemon) abort() []byte {
	before, _ := os.ReadFile(d.Log) // without it, more of the log is returned
	_ = d.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-d.ended:
	case <-time.After(5 * time.Second):
		_ = d.Kill()
	}
	log, _ := os.ReadFile(d.Log) // the error of the caller says enough without it
	return log[min(len(before), len(log)):]
}

// Kill sends the daemon SIGKILL, and waits until it has ended. It returns os.ErrProcessDone if it had
// ended before.
func (d *Daemon) Kill() error {
	err := d.cmd.Process.Kill()
	<-d.ended
	return err
}

// Freeze stops it with SIGSTOP.
func (d *Daemon) Freeze() error { return d.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw continues it with SIGCONT.
func (d *Daemon) Thaw() error { return d.cmd.Process.Signal(syscall.SIGCONT) }

// Reload sends SIGHUP, on which daemons read their configuration again.
func (d *Daemon) Reload() error { return d.cmd.Process.Signal(syscall.SIGHUP) }

// StartAgent starts berthd and waits until it is ready.
func (h *Host) StartAgent(args ...string) (*Daemon, error) {
	args = append(h.flags(), args...)
	d, err := h.start(filepath.Join(h.Dir, "berthd.log"), filepath.Join(h.Bin, "berthd"), args...)
	if err != nil {
		return nil, err
	}
	return d, d.ready(func() error { return httpGet(filepath.Join(h.State, "berthd.sock"), "/readyz") })
}

// StartHookService starts the resident berth-hook, and waits until it takes requests.
func (h *Host) StartHookService(args ...string) (*Daemon, error) {
	args = append(append([]string{"serve"}, h.flags()...), args...)
	d, err := h.start(filepath.Join(h.Dir, "hook-service.log"), filepath.Join(h.Bin, "berth-hook"), args...)
	if err != nil {
		return nil, err
	}
	return d, d.ready(func() error { return readyByte(filepath.Join(h.State, "hook.sock")) })
}

// readyByte connects to the resident berth-hook, and waits until it is ready for a request, or refuses
// this process because it is in another network namespace than the host.
func readyByte(socket string) error {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err = conn.Read(make([]byte, 1)); err == io.EOF {
		return nil
	}
	return err
}

// ready waits until ask returns nil. The error has the daemon's log.
func (d *Daemon) ready(ask func() error) error {
	err := Eventually(patience, ask)
	if err == nil {
		return nil
	}
	log, _ := os.ReadFile(d.Log)
	_ = d.Kill() // it may have ended already
	return fmt.Errorf("%s did not become ready: %w: %s", d.cmd.Args, err, log)
}

// httpGet sends a request to an HTTP server on a Unix socket.
func httpGet(socket, path string) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	response, err := client.Get("http://berthd" + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", path, response.Status)
	}
	return nil
}
