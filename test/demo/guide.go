package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/lab"
)

// A scene is a step of the tour: a line that describes it, and commands as a user would
// type them on a machine.
type scene struct {
	what  string
	on    *lab.Machine
	lines []string
	quiet bool         // commands that only clean up are not shown, and may fail
	first func() error // waits before the commands, if not nil
}

// A guide plays scenes and shows them.
type guide struct {
	ctx         context.Context
	out         io.Writer
	bold, plain string
	cyan        string
	step        int
}

func newGuide(ctx context.Context, out *os.File) *guide {
	g := &guide{ctx: ctx, out: out}
	if _, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS); err == nil && os.Getenv("NO_COLOR") == "" {
		g.bold, g.cyan, g.plain = "\x1b[1m", "\x1b[36m", "\x1b[0m"
	}
	return g
}

func (g *guide) print(text string) { fmt.Fprintln(g.out, text) }

// play shows scenes until one fails or the user interrupts.
func (g *guide) play(scenes []scene) error {
	for _, s := range scenes {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		if !s.quiet {
			g.step++
			g.print(fmt.Sprintf("\n%s%d. %s%s", g.bold, g.step, s.what, g.plain))
		}
		if s.first != nil {
			if err := s.first(); err != nil {
				return err
			}
		}
		for _, line := range s.lines {
			if err := g.command(s, line); err != nil && !s.quiet {
				return err
			}
		}
	}
	return nil
}

// commandTime bounds each command.
const commandTime = 30 * time.Second

// command shows a line as typed on a scene's machine, runs it, and shows its output.
func (g *guide) command(s scene, line string) error {
	ctx, cancel := context.WithTimeout(g.ctx, commandTime)
	defer cancel()
	if !s.quiet {
		g.print(fmt.Sprintf("%s%s %s%s", g.cyan, prompt(s.on), line, g.plain))
	}
	cmd := s.on.Command(ctx, "sh", "-c", line)
	cmd.Dir = workDir
	// The group of its own keeps an interrupt at the terminal from the command, so
	// that the guide removes everything in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := lab.Terminal(cmd)
	if s.quiet {
		return err
	}
	for text := range strings.Lines(out) {
		g.print(strings.TrimRight("  "+text, " \r\n"))
	}
	if g.ctx.Err() != nil {
		return g.ctx.Err()
	}
	return err
}

func prompt(m *lab.Machine) string {
	if m.Name == hostName {
		return "#"
	}
	return m.Name + "#"
}
