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
		r.addFail(check, "run `systemctl restart berthd`, which pins them again, and find out which program removes them",
			"pinned objects of the agent are missing, so frames may pass uncounted: %s", strings.Join(a.Missing, ", "))
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
		r.addWarn(check, "run it as root, or set socket_group under [agent] in berth.toml to your group",
			"not checked: %v", a.Err)
		return
	case a.Status == nil && a.Pinned > 0:
		r.addWarn(check, start, "no agent answers; the programs of an earlier agent still count, for its containers, on "+
			"%d parents", a.Pinned)
		return
	case a.Status == nil:
		r.addWarn(check, start, "no agent answers, so nothing is counted")
		return
	case !a.Status.Attached:
		r.addWarn(check, commandText("berth agent attach"),
			"berthd %s answers, but its programs were detached on request: nothing is counted", a.Status.Version)
	default:
		r.addPass(check, "berthd %s answers", a.Status.Version)
	}
	for _, problem := range a.Status.Problems {
		r.addWarn(check, commandText("berth agent status"), "%s", problem)
	}
	if a.Status.Endpoints >= a.Status.MaxEndpoints {
		r.addWarn(check, "raise max_endpoints under [agent] in berth.toml and restart berthd",
			"all %d counter slots are in use: further interfaces are not counted", a.Status.Endpoints)
	}
}
