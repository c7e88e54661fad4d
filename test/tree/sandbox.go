package tree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"berth/test/cgroup"
)

// A Sandbox defines the environment of a command in a tree.
type Sandbox struct {
	Binds  []Bind
	Env    []string // added to PATH, HOME, TERM and the machine's proxies
	Dir    string   // working directory of the command, / if empty
	OwnNet bool     // a network namespace with lo alone, in place of the machine's network
	// Plain are directories of the tree outside the overlay. Container engines
	// need them for their own overlays. They start empty.
	Plain []string
	// Source is a directory of a Git repository. The sandbox gets a clone of it at
	// [SourceDir], with the current files; none if empty.
	Source string
	Output *os.File // standard output and error; the caller's if nil

	tree    *Tree
	inPlace bool // changes stay in the tree
}

// SourceDir is the directory of the clone of [Sandbox.Source].
const SourceDir = "/root/berth"

// A Bind is a file or directory of the machine in the tree.
type Bind struct {
	Source, Target string // absolute paths; Target has no symbolic link out of the tree
	ReadOnly       bool
}

// In returns a sandbox in the tree.
func (t *Tree) In() *Sandbox { return &Sandbox{tree: t} }

// stageVar passes a [setup] as JSON to the process that [Enter] continues.
const stageVar = "BERTH_TREE_STAGE"

// A setup is the input of the first process of the namespaces.
type setup struct {
	Root, Scratch string
	InPlace       bool
	Binds         []Bind
	Plain         []string
	Env, Command  []string
	Dir           string
	OwnNet        bool
}

// Run runs a command, and returns its exit status: 128 and the signal's number
// if one ended it. If ctx ends, every process in the sandbox is killed.
func (s *Sandbox) Run(ctx context.Context, command ...string) (int, error) {
	dir, held, err := scratch()
	if err != nil {
		return 0, err
	}
	defer held.Close()
	defer os.RemoveAll(dir)
	binds := s.Binds
	if s.Source != "" {
		clone := filepath.Join(dir, "source")
		if err := Clone(ctx, s.Source, clone); err != nil {
			return 0, err
		}
		binds = append(slices.Clip(binds), Bind{Source: clone, Target: SourceDir})
	}
	set := setup{
		Root: s.tree.Dir, Scratch: dir, InPlace: s.inPlace, Binds: binds, Plain: s.Plain,
		Env: append(environment(), s.Env...), Command: command, Dir: s.Dir, OwnNet: s.OwnNet,
	}
	text, err := json.Marshal(set)
	if err != nil {
		return 0, err
	}
	group, err := cgroup.New("berth-tree-")
	if err != nil {
		return 0, err
	}
	defer group.Remove()
	return s.start(ctx, string(text), group)
}

func (s *Sandbox) start(ctx context.Context, stage string, group *cgroup.Group) (int, error) {
	runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVar+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if s.Output != nil {
		cmd.Stdout, cmd.Stderr = s.Output, s.Output
	}
	flags := unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if s.OwnNet {
		flags |= unix.CLONE_NEWNET
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(flags), Pdeathsig: unix.SIGKILL}
	group.Assign(cmd.SysProcAttr)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM)
	defer close(signals)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the tree's first process: %w", err)
	}
	go func() {
		for range signals {
			_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		}
	}()
	err := cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) && ctx.Err() == nil {
		return status(exit.Sys().(syscall.WaitStatus)), nil
	}
	return 0, errors.Join(ctx.Err(), err)
}

func status(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// environment returns the variables of every command.
func environment() []string {
	env := []string{
		"PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8",
	}
	for _, name := range []string{"TERM", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy"} {
		for _, name := range []string{name, strings.ToUpper(name)} {
			if value, ok := os.LookupEnv(name); ok {
				env = append(env, name+"="+value)
			}
		}
	}
	return env
}

// Go mounts this machine's Go at /usr/local/go of the sandbox, read-only, with the
// module cache, the settings for reaching modules, and a build cache that all
// trees share.
func (s *Sandbox) Go(ctx context.Context) error {
	names := []string{"GOROOT", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE"}
	out, err := exec.CommandContext(ctx, "go", append([]string{"env", "-json"}, names...)...).Output()
	if err != nil {
		return fmt.Errorf("ask Go for its settings: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(out, &values); err != nil {
		return fmt.Errorf("ask Go for its settings: %w", err)
	}
	builds := filepath.Join(Cache(), "go-build")
	for _, dir := range []string{builds, values["GOMODCACHE"]} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	s.Binds = append(s.Binds,
		Bind{Source: values["GOROOT"], Target: "/usr/local/go", ReadOnly: true},
		Bind{Source: values["GOMODCACHE"], Target: "/root/go/pkg/mod"},
		Bind{Source: builds, Target: "/root/.cache/go-build"})
	for _, name := range names[2:] {
		if values[name] != "" {
			s.Env = append(s.Env, name+"="+values[name])
		}
	}
	return nil
}
