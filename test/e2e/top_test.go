package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/test/lab"
)

// newTerminal returns both ends of a terminal of 200×50: that of the user, and that of a program.
func newTerminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { must(t, user.Close()) })
	fd := int(user.Fd())
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	must(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}))
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return user, program
}

// expectOnTop runs berth top in a terminal until it shows some words, and ends it by its key.
func (s *site) expectOnTop(t *testing.T, words ...string) {
	t.Helper()
	user, program := newTerminal(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := s.Command(ctx, filepath.Join(bin, "berth"), append(s.Flags(), "top")...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	must(t, program.Close())
	shown := new(testnet.Output)
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(shown, user) // until the program has ended: EIO
		close(read)
	}()
	err := lab.Eventually(30*time.Second, func() error {
		for _, word := range words {
			if !strings.Contains(shown.String(), word) {
				return fmt.Errorf("berth top shows no %q:\n%q", word, shown)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	_, err = user.WriteString("q")
	must(t, err)
	<-read
	if err := cmd.Wait(); err != nil {
		t.Errorf("berth top ended with %v:\n%q", err, shown)
	}
}
