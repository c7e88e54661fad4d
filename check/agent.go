package check

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"berth/bpf"
	"berth/specs"
)

// Agent is the state of the agent.
type Agent struct {
	Status *specs.AgentStatus
	Err    error // why there is no status
	Pinned int   // parents at which programs are pinned, with or without an agent

	Missing    []string // missing pinned objects, if others exist
	MissingErr error    // why they could not be read
}

func (c *Checker) gatherAgent() Agent {
	links, _ := filepath.Glob(filepath.Join(c.Dirs.BPFFS, "v*", "links", "*-ingress")) // the pattern is well formed
	a := Agent{Status: c.Agent, Err: c.AgentErr, Pinned: len(links)}
	a.Missing, a.MissingErr = bpf.Missing(c.Dirs.BPFFS)
	return a
}

// judgePins reports missing pinned objects if others exist: hooks cannot register with
// them, and an interface that lost its link is no longer counted.
func judgePins(r *report, a Agent) {
	const check = "pins"
	switch {
	case len(a.Missing) > 0:
		r.addFail(check, "`systemctl restart berthd`, which pins them again; find out what removes them",
			"of what the agent pins, not all is there: %s is missing, so frames may pass uncounted", strings.Join(a.Missing, ", "))
	case a.MissingErr != nil && !errors.Is(a.MissingErr, fs.ErrPermission):
		r.addWarn(check, "run it as root", "not checked: %v", a.MissingErr)
	}
}

// judgeAgent never fails if no agent runs: containers start without it.
func judgeAgent(r *report, a Agent) {
	judgePins(r, a)
	const check = "agent"
	const start = "`systemctl start berthd`"
	switch {
	case a.Status == nil && errors.Is(a.Err, fs.ErrPermission):
		r.addWarn(check, "run it as root, or name your group as agent.socket_group in berth.toml", "not checked: %v", a.Err)
		return
	case a.Status == nil && a.Pinned > 0:
		r.addWarn(check, start, "none answers; the programs of an earlier one still count at %d parents, for containers that it knew", a.Pinned)
		return
	case a.Status == nil:
		r.addWarn(check, start, "none answers, so nothing is counted")
		return
	case !a.Status.Attached:
		r.addWarn(check, commandText("berth agent attach"), "berthd %s answers, and is detached on request: nothing is counted", a.Status.Version)
	default:
		r.addPass(check, "berthd %s answers", a.Status.Version)
	}
	for _, problem := range a.Status.Problems {
		r.addWarn(check, commandText("berth agent status"), "%s", problem)
	}
	if a.Status.Endpoints >= a.Status.MaxEndpoints {
		r.addWarn(check, "raise agent.max_endpoints in berth.toml", "it counts %d interfaces, and further ones not", a.Status.Endpoints)
	}
}
