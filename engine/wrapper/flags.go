package wrapper

import (
	"slices"
	"strings"
)

// An option is one flag of a command line.
type option struct {
	name   string // without dashes; "" for the -- that ends the flags
	value  string
	valued bool // whether the value is in the same argument
}

// splitFlag parses an argument as Go's flag package and urfave/cli do: one dash or two, the
// value after "=" or in the next argument. An argument without a dash, or a lone dash, is
// no flag.
func splitFlag(arg string) (f option, isFlag bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return f, false
	}
	name := strings.TrimPrefix(arg[1:], "-")
	f.name, f.value, f.valued = strings.Cut(name, "=")
	return f, true
}

// parseCluster parses letters after a single dash as getopt(3) does: a letter that takes a value
// takes the rest, or else the next argument.
func parseCluster(letters string) option {
	for i, r := range letters {
		name := string(r)
		if slices.Contains(commands().valued, name) {
			value := letters[i+len(name):]
			return option{name, value, value != ""}
		}
		if name == "h" || name == "?" || name == "V" {
			return option{name: name}
		}
	}
	return option{name: letters}
}

// flagSet holds the flags of a runtime in one position.
type flagSet struct {
	valued, plain []string
	// unknownMayTake is set if an unknown flag takes the next argument as its value, unless
	// that is a flag or one of the runtime's commands. If no argument follows, the flag
	// need not be known.
	unknownMayTake bool
}

// globals are the flags before the command: those of runc 1.1 to 1.5 (main.go)
// and of crun 1.8 to 1.29 (src/crun.c).
var globals = flagSet{
	valued:         []string{"root", "log", "log-format", "rootless", "criu", "cgroup-manager", "log-level"},
	plain:          []string{"debug", "systemd-cgroup", "version", "v", "V", "help", "h", "?", "usage"},
	unknownMayTake: true,
}

// commands returns the flags of create, run and restore (runc's create.go, run.go
// and restore.go, crun's src/create.c, run.c and restore.c), and the global
// ones, which runc 1.5 takes behind a command too (urfave/cli v3).
func commands() flagSet {
	return flagSet{
		valued: append([]string{
			"bundle", "b", "config", "f", "console-socket", "pidfd-socket", "pid-file", "preserve-fds",
			"image-path", "work-path", "manage-cgroups-mode", "empty-ns", "network-lock",
			"lsm-profile", "lsm-mount-context",
		}, globals.valued...),
		plain: append([]string{
			"detach", "d", "keep", "no-pivot", "no-new-keyring", "no-subreaper",
			"tcp-established", "tcp-close", "ext-unix-sk", "shell-job", "file-locks", "auto-dedup", "lazy-pages",
		}, globals.plain...),
	}
}

// verbs are the commands of a runtime.
var verbs = []string{
	"checkpoint", "create", "delete", "events", "exec", "features", "help", "kill", "list", "mounts",
	"pause", "ps", "restore", "resume", "run", "spec", "start", "state", "update",
}

// takesNext reports whether a flag takes its value from the next argument.
func (f option) takesNext(set flagSet, next []string) bool {
	switch {
	case f.valued || len(next) == 0:
		return false
	case slices.Contains(set.valued, f.name):
		return true
	case slices.Contains(set.plain, f.name):
		return false
	}
	return set.unknownMayTake && !strings.HasPrefix(next[0], "-") && !slices.Contains(verbs, next[0])
}

// fullName completes an abbreviated flag name, which getopt accepts if it is unambiguous.
// Of several matches the first is taken: they belong to different commands, or the runtime
// itself refuses the name. Flags with a value come first, so that a value is not taken for
// an argument.
func fullName(set flagSet, name string) string {
	all := slices.Concat(set.valued, set.plain)
	if len(name) < 2 || slices.Contains(all, name) {
		return name
	}
	i := slices.IndexFunc(all, func(candidate string) bool { return strings.HasPrefix(candidate, name) })
	if i < 0 {
		return name
	}
	return all[i]
}
