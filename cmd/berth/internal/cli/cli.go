// Package cli holds berth's commands, one per file, as functions of their arguments and of
// an [Env]: they print to its writers, and their files lie below the directories of its
// flags.
//
// The commands use the files and records that hook and agent share, so all but cluster,
// events, stats and top work if no agent runs. They make no decisions of their own: package specs
// defines a network, the records list the attachments, the pinned maps have the counts. The
// package may import every room of berth.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"berth/internal/config"
	"berth/network"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command was valid and failed
	exitUsage  = 2 // unknown command or flag, wrong number of arguments, malformed value
)

// Env is the environment of a command.
type Env struct {
	Out, Err io.Writer
	Width    int // maximum width of a table, in columns
	Wrap     int // width at which sentences are wrapped; 0 if Out is no terminal
	Now      func() time.Time
	Version  string

	dirs config.Dirs // from the global flags
	// returns an interface, or why it cannot be a parent now
	parent func(name string) (*network.Parent, error)
	euid   func() int // user of the process; 0 is root
	// systemd's program, and the file with the address of the page
	systemctl, webAddress string
	// directory of berth's programs; "" for this program's
	bin  string
	root string // root directory of other programs' files; "" for /
	// size of Out now; nil if Out is no terminal whose content can be overwritten
	window func() (columns, rows int)
	file   *os.File // Out, if it is a file
}

// defaultWidth is a table's width if the terminal's is not known: the usual minimum.
const defaultWidth = 80

// Terminal returns the environment of a terminal or a pipe.
func Terminal(out, err *os.File, version string) Env {
	env := Env{Out: out, Err: err, Width: defaultWidth, Now: time.Now, Version: version,
		parent: lookUpParent, euid: os.Geteuid, file: out}
	env.setWebDefaults()
	if columns, _ := windowOf(out); columns > 0 {
		env.Width, env.Wrap = columns, columns
		if os.Getenv("TERM") != "dumb" {
			env.window = func() (columns, rows int) { return windowOf(out) }
		}
	}
	return env
}

// windowOf returns a terminal's size, or zeros if it is not known.
func windowOf(terminal *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}

// Main runs one command and returns its exit code; it prints errors to env.Err.
func Main(ctx context.Context, args []string, env Env) int {
	out := &output{to: env.Out}
	env.Out = out
	root := newRoot(&env)
	root.SetArgs(args)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	addCompletion(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.err
	}
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(env.Err, "%s: %v\nSee '%[1]s --help'.\n", usage.command, usage.err)
		return exitUsage
	case errors.Is(err, errPrinted):
	default:
		for _, text := range distinctTexts(err) {
			env.warnf("%s", text)
		}
	}
	return exitFailed
}

// distinctTexts returns the texts of the errors that errors.Join has joined, each once: several steps
// of a command can fail for the same reason.
func distinctTexts(err error) (texts []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []string{err.Error()}
	}
	for _, one := range joined.Unwrap() {
		for _, text := range distinctTexts(one) {
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// errPrinted ends a command that has already printed its error.
var errPrinted = errors.New("the error is printed already")

// needRoot returns an error if the user is not root, so that a command does not fail
// half-way.
func (env *Env) needRoot(what string) error {
	if env.euid() == 0 {
		return nil
	}
	return fmt.Errorf("run as root: %s changes or reads files that only root may use", what)
}

// asRoot adds the remedy to an error if permission is denied.
func (env *Env) asRoot(err error) error {
	if env.euid() != 0 && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("run as root: %w", err)
	}
	return err
}

// warnf prints a warning, which does not end the command.
func (env *Env) warnf(format string, args ...any) {
	fmt.Fprintf(env.Err, "berth: "+format+"\n", args...)
}

func newRoot(env *Env) *cobra.Command {
	root := commandGroup("berth", "attach containers to the LAN, and observe their traffic",
		newNetwork(env), newAdopt(env), newPs(env), newInspect(env), newEvents(env), newStats(env), newTop(env), newWeb(env),
		newAgent(env), newCheck(env), newHost(env), newCluster(env), newGC(env), newHeal(env),
		newInstall(env), newUninstall(env), newCDI(env), newDoctor(env), newVersion(env))
	root.SetHelpCommand(newHelp())
	root.Version = env.Version
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(flagError)
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	env.dirs.Flags(flags)
	root.PersistentFlags().AddGoFlagSet(flags)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages",
		fmt.Sprintf(".FlagUsagesWrapped %d", defaultWidth)))
	return root
}
