package check

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"berth/internal/drift"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// unsettledFor is the longest time that an attachment may take: longer than the hook's
// timeout in deploy/hooks.d.
const unsettledFor = time.Minute

// attached judges one attachment.
type attached struct {
	*report
	*state.Attachment
	seen Seen
	who  string
}

// judgeAttached compares the kernel's state with the record. Every difference is a failure.
func judgeAttached(who string, a *state.Attachment, s Seen, now time.Time) []Line {
	j := attached{&report{subject: fmt.Sprintf("container %s %s", who, a.Interface)}, a, s, who}
	if j.isPresent(now) {
		j.checkMode()
		j.checkMAC()
		j.checkMTU()
		j.checkUp()
		j.checkParent()
		j.checkAlias()
		j.checkAddresses()
		j.checkRoutes()
	}
	return j.lines
}

// isPresent reports whether there is a link to compare.
func (j *attached) isPresent(now time.Time) bool {
	const check = "interface"
	dead := errors.Is(j.seen.Err, network.ErrNoNamespace)
	switch {
	case j.Phase == specs.PhaseAttaching && now.Sub(j.Created).Abs() < unsettledFor:
		j.addPass(check, "being attached")
	case j.Phase == specs.PhaseAttaching, j.Leaving && !dead && j.seen.Link != nil:
		j.addFail(check, commandText("berth gc"), "a berth-hook was stopped while it attached or released the interface")
	case dead, j.seen.Link != nil && drift.Another(j.Attachment, j.seen.Link):
		j.addFail(check, commandText("berth gc"), "its network namespace is gone, but its record exists")
	case j.seen.Err != nil:
		j.addWarn(check, "run it as root", "not checked: %v", j.seen.Err)
	case j.seen.Link == nil && !j.NoHeal && j.seen.Parent == nil:
		remedy := "make the parent again; berth-heal.path then makes the interface again, as does "
		j.addFail(check, remedy+commandText("berth heal"),
			"the namespace has no %s: its parent %s was removed", j.Interface, j.Attachment.Parent)
	case j.seen.Link == nil:
		j.addFail(check, j.restartText()+"; to free its addresses and MAC: "+commandText("berth gc"),
			"the namespace has no %s: it was deleted or renamed", j.Interface)
	default:
		return true
	}
	return false
}

// nsenterCommand returns a remedy by a command in the container's namespace, if a way into it is
// known.
func (j *attached) nsenterCommand(format string, args ...any) string {
	if j.seen.PID == 0 {
		return j.restartText()
	}
	return commandText("nsenter -t %d -n ip %s", j.seen.PID, fmt.Sprintf(format, args...))
}

func (j *attached) restartText() string { return "restart container " + j.who }

func (j *attached) checkMode() {
	l := j.seen.Link
	got, want := drift.Mode(j.Attachment, l)
	same := want == got
	got, want = drift.Brief(got), drift.Brief(want)
	switch {
	case same:
		j.addPass("mode", "%s", got)
	case l.Driver != j.Driver, l.Mode == j.Mode && j.Mode == specs.ModeSource:
		j.addFail("mode", j.restartText(), "is %s, recorded is %s", cmp.Or(got, l.Kind), want)
	default:
		flag := ""
		if l.Driver == specs.IPvlan {
			flag = " " + string(cmp.Or(j.IPvlanFlag, specs.FlagBridge))
		}
		j.addFail("mode", j.nsenterCommand("link set %s type %s mode %s%s", j.Interface, j.Driver, j.Mode, flag),
			"is %s, recorded is %s", got, want)
	}
}

func (j *attached) checkMAC() {
	switch {
	case j.Driver == specs.IPvlan:
		j.addPass("MAC", "%s, the parent's", j.seen.Link.MAC)
	case j.Mode == specs.ModePassthru:
		j.addPass("MAC", "%s; in passthru mode it may be any", j.seen.Link.MAC)
	case !drift.MAC(j.Attachment, j.seen.Link):
		j.addFail("MAC", j.nsenterCommand("link set %s address %s", j.Interface, j.MAC),
			"is %s, recorded is %s: its traffic counts as forged", j.seen.Link.MAC, j.MAC)
	default:
		j.addPass("MAC", "%s", j.seen.Link.MAC)
	}
}

func (j *attached) checkMTU() {
	if j.seen.Link.MTU == j.MTU {
		j.addPass("MTU", "%d", j.MTU)
		return
	}
	remedy := j.nsenterCommand("link set %s mtu %d", j.Interface, j.MTU)
	if j.seen.Parent != nil && j.seen.Parent.MTU < j.MTU {
		remedy = commandText("ip link set %s mtu %d", j.seen.Parent.Name, j.MTU) + " " + remedy
	}
	j.addFail("MTU", remedy, "is %d, recorded is %d", j.seen.Link.MTU, j.MTU)
}

func (j *attached) checkUp() {
	switch {
	case !j.seen.Link.Up:
		j.addFail("up", j.nsenterCommand("link set %s up", j.Interface), "the interface is down")
	case j.seen.Parent != nil && !j.seen.Parent.Up:
		j.addFail("up", commandText("ip link set %s up", j.seen.Parent.Name), "its parent %s is down", j.seen.Parent.Name)
	case !j.seen.Link.Carrier:
		j.addFail("up", "plug in the cable, or set up the other end of the parent",
			"the interface is up, but its parent has no link")
	default:
		j.addPass("up", "yes")
	}
}

func (j *attached) checkParent() {
	switch {
	case j.seen.Parent == nil:
		j.addFail("parent", "move it back to the host's namespace, or "+j.restartText(),
			"%s (interface %d) is no longer in the host's namespace", j.Parent, j.ParentIndex)
	case j.seen.Link.ParentIndex != j.ParentIndex:
		j.addFail("parent", j.restartText(), "is interface %d, recorded is %d (%s)", j.seen.Link.ParentIndex,
			j.ParentIndex, j.Parent)
	case j.seen.Parent.Name != j.Parent:
		j.addPass("parent", "%s, which is now named %s", j.Parent, j.seen.Parent.Name)
	default:
		j.addPass("parent", "%s", j.seen.Parent.Name)
	}
}

func (j *attached) checkAlias() {
	if j.seen.Link.Alias == j.Alias() {
		j.addPass("alias", "%s", j.seen.Link.Alias)
		return
	}
	j.addFail("alias", j.nsenterCommand("link set %s alias %s", j.Interface, j.Alias()),
		"is %q, recorded is %q: berth does not recognise its interface", j.seen.Link.Alias, j.Alias())
}
