package top

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"berth/agent/client"
)

// Options are the settings of the view.
type Options struct {
	Agent    *client.Client
	Interval time.Duration // between two samples, greater than 0
	Terminal *os.File      // output; keys are read from standard input
	Getenv   func(string) string
}

// ErrNoTerminal is returned if the output is a file or a pipe.
var ErrNoTerminal = errors.New("standard output is not a terminal; in scripts use berth stats --json")

// Run shows the view until a person quits or ctx is done.
func Run(ctx context.Context, o Options) error {
	if _, _, err := sizeOf(o.Terminal); err != nil {
		return ErrNoTerminal
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dumb := o.Getenv("TERM") == "dumb"
	look := newTheme(o.Getenv("NO_COLOR") == "", dumb, utf8Locale(o.Getenv))
	m := newModel(look, newSource(ctx, o.Agent, o.Interval))
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithoutSignalHandler()}
	var err error
	if dumb {
		// Bubble Tea draws by escape sequences, which a dumb terminal shows as text.
		p := &pages{Model: m, to: o.Terminal}
		err = runProgram(p, append(options, tea.WithOutput(io.Discard)))
		fmt.Fprintln(o.Terminal)
	} else {
		err = runProgram(m, append(options, tea.WithOutput(o.Terminal)))
	}
	if err != nil && !isStreamEnd(ctx, err) {
		return fmt.Errorf("terminal view: %w", err)
	}
	return nil
}

// utf8Locale reports whether the locale's characters are UTF-8 (POSIX.1-2017
// XBD 8.2: the first of the three that is set).
func utf8Locale(getenv func(string) string) bool {
	name := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(name, "utf-8") || strings.Contains(name, "utf8")
}

func sizeOf(terminal *os.File) (width, height int, err error) {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, err
	}
	return int(size.Col), int(size.Row), nil
}

// pages is the view on a terminal without escape sequences: whole pages, one after the
// other.
type pages struct {
	Model
	to   *os.File
	last string
}

// Update implements tea.Model. The size is the terminal's, not the one that Bubble Tea
// takes from its output.
func (p *pages) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, ok := msg.(tea.WindowSizeMsg); ok {
		msg = nil
	}
	if width, height, err := sizeOf(p.to); err == nil {
		p.width, p.height = cmp.Or(width, 80), cmp.Or(height, 24)
	}
	cmd := p.handleMsg(msg)
	if page := p.Frame(); page != p.last {
		p.last = page
		// The terminal is in raw mode: a line feed does not go back to the left.
		if _, err := io.WriteString(p.to, "\r\n"+strings.ReplaceAll(page, "\n", "\r\n")); err != nil {
			return p, tea.Quit
		}
	}
	return p, cmd
}
