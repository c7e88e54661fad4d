package install

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"berth/internal/regular"
)

// shimRuntimes are the files in which containerd's shim keeps the path of the runtime of a container
// of Kubernetes (WriteRuntime in containerd, cmd/containerd-shim-runc-v2/runc/container.go). Their
// directory is named by the container's ID.
const shimRuntimes = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/runtime"

// refuseUsed refuses to remove a runtime as long as a container runs by it: without it, podman, CRI-O
// and containerd can neither stop the container nor execute a process in it.
func (p *planner) refuseUsed(mine *record) error {
	users := p.containersRunBy(p.programsOf(mine))
	if len(users) == 0 {
		return nil
	}
	return fmt.Errorf("containers run by berth's runtime: %s; without it, %s can neither stop them nor execute a process "+
		"in them, so remove them first", listUsers(users), mine.Engine)
}

// keepPrograms keeps the runtimes of an earlier installation, for example from another directory, until
// the uninstallation: containers may run by them, and dockerd executes them until it is reloaded.
func (p *planner) keepPrograms() {
	for _, f := range p.plan.Files {
		if f.Disk != nil && f.After == nil && strings.HasPrefix(filepath.Base(f.Path), runtimeProgram) {
			f.After, f.ours = f.Disk, true
		}
	}
}

// keepNamed keeps the programs that a configuration still names, because an administrator has renamed or
// copied berth's entry: no container of that runtime would start. The record stays for them.
func (p *planner) keepNamed(mine *record) {
	for _, f := range p.plan.Files {
		i := slices.IndexFunc(mine.Files, func(r recordedFile) bool { return r.Path == f.Path && r.Format == "" })
		if i < 0 || f.Disk == nil || f.After != nil || !strings.HasPrefix(filepath.Base(f.Path), runtimeProgram) {
			continue
		}
		naming := slices.IndexFunc(p.plan.Files, func(other *File) bool { return other.names(f.Path) })
		if naming < 0 {
			continue
		}
		f.After = f.Disk
		p.plan.kept = append(p.plan.kept, mine.Files[i])
		p.plan.retire(mine)
		p.addNote("%s still names %s, so that stays; remove the entry, then run berth uninstall --engine %s again",
			p.plan.Files[naming].Path, f.Path, mine.Engine)
	}
}

// names reports whether a configuration will name a program, in quotes as JSON and TOML have it.
func (f *File) names(program string) bool {
	if f.After == nil || f.After.Link {
		return false
	}
	return strings.Contains(f.After.Text, `"`+program+`"`) || strings.Contains(f.After.Text, "'"+program+"'")
}

// programsOf returns the programs that an engine executes for an installation: files of its own, and
// berth-runtime itself.
func (p *planner) programsOf(mine *record) []string {
	programs := []string{filepath.Join(p.o.Bin, runtimeProgram)}
	for _, f := range mine.Files {
		if f.Format == "" && strings.HasPrefix(filepath.Base(f.Path), runtimeProgram) {
			programs = append(programs, f.Path)
		}
	}
	return programs
}

// containersRunBy returns the names, or else the IDs, of the running containers whose engine executes
// one of the programs as their runtime.
func (p *planner) containersRunBy(programs []string) (users []string) {
	files, _ := filepath.Glob(p.o.sysPath(shimRuntimes)) // the pattern is well formed
	for _, file := range files {
		text, err := regular.Read(file, maxFile) // a container that has just ended has none
		if err == nil && slices.Contains(programs, strings.TrimSpace(string(text))) {
			users = append(users, filepath.Base(filepath.Dir(file)))
		}
	}
	files, _ = filepath.Glob(p.o.sysPath("/proc/[0-9]*/cmdline"))
	for _, file := range files {
		if text, err := regular.Read(file, maxFile); err == nil {
			if name := monitored(strings.Split(string(text), "\x00"), programs); name != "" {
				users = append(users, name)
			}
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// monitored returns the name of the container that a conmon monitors for podman or CRI-O, or "" if the
// process is another one, or the container has another runtime.
func monitored(args, programs []string) (name string) {
	if filepath.Base(args[0]) != "conmon" {
		return ""
	}
	runs := false
	for i := 1; i+1 < len(args); i++ {
		switch args[i] {
		case "-r", "--runtime":
			runs = runs || slices.Contains(programs, args[i+1])
		case "-n", "--name":
			name = args[i+1]
		case "-c", "--cid":
			if name == "" {
				name = args[i+1]
			}
		}
	}
	if !runs {
		return ""
	}
	return name
}
