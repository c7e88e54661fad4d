package traffic

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"berth/specs"
)

// Programs that make interfaces on the site's parents beside berth.
const (
	ByHand   = "ip"
	ByCNI    = "CNI"
	ByPodman = "podman"
	ByDocker = "docker"
)

// Programs returns those of the programs that are installed, and the others.
func Programs() (installed, missing []string) {
	for _, p := range []struct{ name, sign string }{
		{ByHand, "ip"}, {ByCNI, filepath.Join(cniPlugins, "macvlan")}, {ByPodman, "podman"}, {ByDocker, "dockerd"},
	} {
		if _, err := exec.LookPath(p.sign); err != nil {
			missing = append(missing, p.name)
		} else {
			installed = append(installed, p.name)
		}
	}
	return installed, missing
}

// Other is a container with an interface of another program on one of the site's parents.
type Other struct {
	Place
	ID      string
	Program string
	Mode    specs.Mode
	parent  string
	address string             // the first that it had, or the one that it requests
	start   func(*Other) error // sets the namespace and the interface's name
	stop    func(*Other) error
	process *exec.Cmd // that holds the namespace, if no engine does

	reconnect func(*Other) error // takes it off the engine's network and on it again; nil if no engine made it

	hasBerths bool       // whether berth has an interface in the namespace too
	berths    Place      // that interface
	beside    *Container // of berth's, if berth made the container
}

// addOthers adds the containers of a program. Start starts them.
func (s *Site) addOthers(program string) error {
	add := func(o Other) {
		o.Program = program
		o.ID = fmt.Sprintf("%s-%s-%d", s.Host.Name, strings.ToLower(program), len(s.others))
		s.others = append(s.others, &o)
	}
	switch program {
	case ByHand:
		s.addHandMade(add)
	case ByCNI:
		s.addCNI(add)
	case ByPodman:
		return s.addPodman(add)
	case ByDocker:
		return s.addDocker(add)
	}
	return nil
}

// addHandMade adds an interface in each mode, and one in a namespace in which berth has one too.
func (s *Site) addHandMade(add func(Other)) {
	parents := map[specs.Mode]string{specs.ModeBridge: "eth1", specs.ModePrivate: "eth2", specs.ModeVEPA: "eth3",
		specs.ModeSource: "eth4"}
	if s.hasIPvlan() {
		parents[specs.ModeL2] = "eth6"
	}
	for i, mode := range []specs.Mode{
		specs.ModeBridge, specs.ModePrivate, specs.ModeVEPA, specs.ModeSource, specs.ModeL2,
	} {
		if parent := parents[mode]; parent != "" {
			add(Other{parent: parent, Mode: mode, address: fmt.Sprintf("192.0.2.%d", 184+i),
				start: s.startHandMade, stop: (*Other).endProcess})
		}
	}
	add(Other{parent: "eth1", Mode: specs.ModeBridge, address: "192.0.2.190", hasBerths: true,
		start: s.startBeside, stop: s.stopBeside})
}

func (s *Site) hasIPvlan() bool { return !slices.Contains(s.LeftOut, "ipvlan") }

// startHandMade makes an interface by ip(8) in the namespace of a new process.
func (s *Site) startHandMade(o *Other) error {
	if err := o.startProcess(); err != nil {
		return err
	}
	return s.makeLink(o, o.process.Process.Pid)
}

// startBeside makes an interface by ip(8) in the namespace of a container of berth's.
func (s *Site) startBeside(o *Other) (err error) {
	if o.beside, err = StartContainer(s.Host, o.ID, Selection{Name: "beside"}); err != nil {
		return err
	}
	o.Path = o.beside.Path
	return s.makeLink(o, o.beside.cmd.Process.Pid)
}

func (s *Site) stopBeside(o *Other) error { return o.beside.Stop(s.Host, true) }

// makeLink makes the interface of a container by ip(8), in the namespace of a process.
func (s *Site) makeLink(o *Other, pid int) error {
	o.IfName = "own0"
	kind := "macvlan"
	if o.Mode == specs.ModeL2 {
		kind = "ipvlan"
	}
	if _, err := s.Host.Run("ip", "link", "add", "link", o.parent, "name", o.IfName, "netns", fmt.Sprint(pid),
		"type", kind, "mode", string(o.Mode)); err != nil {
		return err
	}
	commands := [][]string{{"address", "add", o.address + "/24", "dev", o.IfName}, {"link", "set", "lo", "up"}}
	if o.Mode == specs.ModeSource {
		for _, mac := range []string{routerMAC, pcMAC} {
			commands = append(commands, []string{"link", "set", "dev", o.IfName, "type", "macvlan", "macaddr", "add", mac})
		}
	}
	commands = append(commands, []string{"link", "set", o.IfName, "up"},
		[]string{"route", "add", "default", "via", routerV4, "dev", o.IfName})
	for _, args := range commands {
		if _, err := o.Run("ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// startProcess starts a process in a new namespace, which becomes the place's.
func (o *Other) startProcess() (err error) {
	o.process, o.Path, err = startSleep()
	return err
}

func (o *Other) endProcess() error {
	_ = o.process.Process.Kill()
	_ = o.process.Wait() // "signal: killed"
	return nil
}

// startOther starts the container of another program, and reads its addresses.
func (s *Site) startOther(o *Other) error {
	err := o.start(o)
	if err == nil {
		err = o.settle()
	}
	if o.berths = (Place{Path: o.Path, IfName: berthsName}); err == nil && o.hasBerths {
		err = o.berths.readAddresses()
	}
	if err != nil {
		return fmt.Errorf("container %q of %s: %w", o.ID, o.Program, err)
	}
	return nil
}

// settle reads the interface of a container, when its addresses can be used.
func (o *Other) settle() error {
	if o.reconnect != nil {
		if err := o.findInterface(); err != nil {
			return err
		}
	}
	if err := o.readAddresses("permanent"); err != nil {
		return err
	}
	if !o.V4.IsValid() {
		return errors.New("it has no address")
	}
	return o.waitUsable()
}

// findInterface finds the name of the engine's interface, which is another one after a reconnection.
func (o *Other) findInterface() error {
	out, err := o.IP("-brief", "link", "show", "type", "macvlan")
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(line, "@"); name != berthsName { // eth0@if7  UP  02:00:5e:00:53:01 …
			o.IfName = name
			return err
		}
	}
	return errors.Join(err, fmt.Errorf("no interface of the engine in %q", out))
}

// othersTalk lets the containers of other programs communicate with the LAN, with all, and with
// the containers of berth's that they reach.
func (s *Site) othersTalk(bytes int64) error {
	for _, o := range s.others {
		errs := []error{Shout(o.Place, all4, 2), Shout(o.Place, group4, 5)}
		for _, m := range []Place{s.router, s.pc} {
			errs = append(errs, Stream(o.Place, m, bytes), Stream(m, o.Place, bytes), Ask(o.Place, m, 10, 100),
				Ask(m, o.Place, 3, 4000))
		}
		if o.hasBerths {
			errs = append(errs, Stream(o.berths, s.pc, bytes), Ask(s.pc, o.berths, 3, 4000))
		}
		for _, c := range s.siblingsOf(o) {
			errs = append(errs, Stream(o.Place, c.Place, bytes), Ask(c.Place, o.Place, 5, 4000))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("container %q of %s: %w", o.ID, o.Program, err)
		}
	}
	return nil
}

// siblingsOf returns the containers of berth's that the container of another program reaches.
func (s *Site) siblingsOf(o *Other) (all []*Container) {
	for _, n := range s.nets {
		if n.parent == o.parent && n.siblings {
			all = append(all, s.containers[n.name]...)
		}
	}
	return all
}

// stopOthers ends the containers of other programs, and then the programs.
func (s *Site) stopOthers() error {
	var errs []error
	for _, o := range s.others {
		if o.Path != "" {
			errs = append(errs, o.stop(o))
		}
	}
	for _, stop := range s.stopPrograms {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// Seen sends a request from each container of another program, and returns the number of frames
// that the agent has counted of each program's. It fails if an interface is not shown as observed,
// or none of its frames is counted.
func (s *Site) Seen(ctx context.Context) (frames map[string]uint64, err error) {
	for _, o := range s.others {
		if err := Ask(o.Place, s.router, 1, 100); err != nil {
			return nil, err
		}
	}
	endpoints, err := s.Client.Endpoints(ctx, true)
	if err != nil {
		return nil, err
	}
	frames = make(map[string]uint64)
	for _, o := range s.others {
		n, err := o.framesIn(endpoints)
		if err != nil {
			return nil, err
		}
		frames[o.Program] += n
	}
	return frames, nil
}

func (o *Other) framesIn(endpoints []specs.Endpoint) (uint64, error) {
	for _, e := range endpoints {
		isOne := slices.ContainsFunc(e.Addresses, func(p netip.Prefix) bool { return p.Addr() == o.V4 })
		if isOne && e.Origin == specs.OriginObserved && e.Phase == specs.PhaseAttached {
			n := e.Counters.Receive.Total().Packets + e.Counters.Transmit.Total().Packets
			if !e.Counted || n == 0 || e.Parent != o.parent || e.Mode != o.Mode {
				return 0, fmt.Errorf("container %q of %s is shown as %+v", o.ID, o.Program, e)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("container %q of %s, address %s, is not shown", o.ID, o.Program, o.V4)
}
