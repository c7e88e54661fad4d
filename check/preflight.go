package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/config"
	"berth/internal/foreign"
	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Preflight checks the host and every network, or the host and one network or parent. A
// fact that cannot be gathered gives a line, so it never fails as a whole.
func (c *Checker) Preflight(ctx context.Context, name string) []Line {
	s := c.gatherSurvey(ctx)
	targets, unknown := s.selectTargets(name)
	host := &report{subject: "host"}
	judgeConfig(host, s)
	var networks []*specs.Network
	onDemand := make(map[string]bool)
	for _, t := range targets {
		networks = append(networks, t.networks...)
		for _, n := range t.networks {
			onDemand[n.Parent] = s.parentFacts(n.Parent).OnDemand != 0
		}
	}
	judgeKernel(host, c.gatherKernel(), needsOf(networks, onDemand))
	judgeBPF(host, c.gatherBPF(s.config.Agent.Attach))
	judgeDirs(host, c.gatherDirs())
	all := c.gatherEngines()
	judgeEngines(host, all)
	judgeDockerDriver(host, c.gatherDockerDriver(ctx))
	judgeHooks(host, c.gatherHookFiles(all))
	judgeRuntimes(host, c.findRuntimes())
	judgeAgent(host, c.gatherAgent())
	if slices.ContainsFunc(s.records, func(a *state.Attachment) bool { return len(a.DHCP) > 0 }) {
		judgeKeeper(host, state.Open(c.Dirs.State).Held(state.KeeperKey))
	}
	lines := append(host.lines, unknown...)
	for _, t := range targets {
		lines = append(lines, judgeParent(s.parentFacts(t.parent), s.dmi, t.networks)...)
		for _, n := range t.networks {
			facts := s.networkFacts(n)
			if name == n.Name {
				facts.DHCP, facts.DHCPv6 = s.askDHCP(ctx, n, false), s.askDHCP(ctx, n, true)
			}
			lines = append(lines, judgeNetwork(facts)...)
		}
	}
	return lines
}

// survey holds the facts that are gathered once for all networks.
type survey struct {
	*Checker
	config   specs.Config
	networks []*specs.Network
	broken   []error // files of the configuration
	dmi      DMI
	kernel   hostLinks
	records  []*state.Attachment // live ones
	leases   []lease.Lease
	shims    []*hostshim.Record
	foreign  []state.ForeignAddress // none if no agent keeps them
	shared   map[string]Shared      // by network
	unread   error                  // why the records cannot be read
	parents  map[string]Parent

	pools       []foreign.Network // of other programs
	unreadPools error             // why they are not known in full
}

func (c *Checker) gatherSurvey(ctx context.Context) *survey {
	s := &survey{Checker: c, dmi: c.gatherDMI(), parents: make(map[string]Parent)}
	var err error
	if s.config, err = config.Load(c.Dirs.Config); err != nil {
		s.broken = append(s.broken, err)
	}
	var errs []error
	s.networks, errs = config.Networks(c.Dirs.Config)
	s.broken = append(s.broken, errs...)
	s.unread = state.Open(c.Dirs.State).View(ctx, func(tx *state.Tx) error { return s.readRecords(tx) })
	s.kernel = c.gatherLinks()
	s.readPools()
	return s
}

// readRecords takes the live records.
func (s *survey) readRecords(tx *state.Tx) error {
	for a, err := range tx.Live("") {
		if err != nil {
			return err
		}
		s.records = append(s.records, a)
	}
	for l, err := range lease.All(tx) {
		if err != nil {
			return err
		}
		s.leases = append(s.leases, l)
	}
	if err := s.readShared(tx); err != nil {
		return err
	}
	if s.Agent != nil {
		if err := s.readForeign(tx); err != nil {
			return err
		}
	}
	var err error
	s.shims, err = hostshim.All(tx)
	return err
}

// judgeConfig reports errors of reading files and records.
func judgeConfig(r *report, s *survey) {
	for _, err := range s.broken {
		if errors.Is(err, config.ErrUnsafe) {
			continue // judgeDirs reports it
		}
		r.addFail("config", "correct this file", "%v", err)
	}
	if len(s.networks) == 0 && len(s.broken) == 0 {
		r.addWarn("networks", commandText("berth network create lan --subnet … --gateway … -o parent=…"),
			"no network is defined yet")
	}
	if s.unreadPools != nil {
		r.addWarn("pools", "correct the file, or run the check as root",
			"networks of other programs are not checked in full: %v", s.unreadPools)
	}
	switch {
	case errors.Is(s.unread, fs.ErrPermission):
		r.addWarn("records", "run it as root", "not checked: %v", s.unread)
	case errors.Is(s.unread, state.ErrUnsafe):
		r.addFail("records", "make it a directory, not a link, that root owns and no other user can write", "%v", s.unread)
	case s.unread != nil:
		r.addFail("records", "if the database is damaged, the next container starts a new one", "%v", s.unread)
	}
	if s.kernel.err != nil {
		r.addFail("interfaces", "run it as root", "not checked: %v", s.kernel.err)
	}
}

// target is a parent with the selected networks.
type target struct {
	parent   string
	networks []*specs.Network
}

// selectTargets returns the targets of a name: a network, else a parent with its networks; ""
// selects all networks. An unknown name gives a line.
func (s *survey) selectTargets(name string) (all []target, unknown []Line) {
	named := func(n *specs.Network) bool { return name == "" || n.Name == name }
	on := func(n *specs.Network) bool {
		return n.Parent == name || s.parentFacts(name).Found != nil && s.parentFacts(n.Parent).isSame(s.parentFacts(name))
	}
	switch {
	case slices.ContainsFunc(s.networks, named) || name == "":
		return s.targetsOf(named), nil
	case slices.ContainsFunc(s.networks, on):
		return s.targetsOf(on), nil
	case s.isBroken(name):
		return nil, nil // the line of its file has the reason
	case s.parentFacts(name).Found != nil || s.kernel.hasLink(name):
		return []target{{parent: name}}, nil
	}
	r := &report{subject: name}
	r.addFail("name", fmt.Sprintf("give the name of a network (%s) or an interface (%s)", s.networkNames(),
		s.kernel.parentNames()),
		"%q is neither a network nor an interface of this host", name)
	return nil, r.lines
}

// targetsOf groups networks by their parents.
func (s *survey) targetsOf(wanted func(*specs.Network) bool) (all []target) {
	for _, n := range s.networks {
		if !wanted(n) {
			continue
		}
		i := slices.IndexFunc(all, func(t target) bool { return s.parentFacts(t.parent).isSame(s.parentFacts(n.Parent)) })
		if i < 0 {
			i = len(all)
			all = append(all, target{parent: n.Parent})
		}
		all[i].networks = append(all[i].networks, n)
	}
	return all
}

// isBroken reports whether a network's file cannot be used.
func (s *survey) isBroken(name string) bool {
	return specs.CheckNetworkName(name) == nil && examineFile(config.NetworkFile(s.Dirs.Config, name)).Exists
}

func (s *survey) networkNames() string {
	var names []string
	for _, n := range s.networks {
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		return "none yet"
	}
	return strings.Join(names, ", ")
}

// networkFacts gathers the facts for a network's checks.
func (s *survey) networkFacts(n *specs.Network) Network {
	facts := Network{Network: n, Shared: s.shared[n.Name], Parent: s.parentFacts(n.Parent), Host: s.kernel.hostAddresses(),
		NoIPv6: network.CheckIPv6()}
	facts.Unset, facts.UnsetErr = network.UnsetSysctls(n)
	sharing := map[string]bool{n.Name: true}
	for _, o := range s.networks {
		if o.Name != n.Name && s.parentFacts(o.Parent).isSame(facts.Parent) {
			facts.Others = append(facts.Others, o)
			sharing[o.Name] = true
		}
	}
	for _, l := range s.leases {
		if sharing[l.Network] {
			facts.Held = append(facts.Held, l)
		}
	}
	if facts.Parent.Found != nil {
		facts.Foreign = s.foreignOn(facts.Parent.Found.Index)
		facts.Pools = slices.DeleteFunc(slices.Clone(s.pools),
			func(p foreign.Network) bool { return !facts.Parent.isNamed(p.Parent) })
	}
	facts.Host = slices.DeleteFunc(facts.Host, func(a netip.Addr) bool { return s.isShim(a, sharing) })
	return facts
}

// isShim reports whether the host has an address by the shim of one of some networks: then
// it is leased like a container's.
func (s *survey) isShim(a netip.Addr, networks map[string]bool) bool {
	return slices.ContainsFunc(s.shims, func(r *hostshim.Record) bool {
		return networks[r.Network] && slices.ContainsFunc(r.Addresses,
			func(p netip.Prefix) bool { return p.Addr() == a.Unmap().WithZone("") })
	})
}

// findRuntimes returns the installed OCI runtimes.
func (c *Checker) findRuntimes() (found []string) {
	for _, name := range []string{"runc", "crun"} {
		if path := c.findExecutable(name); path != "" {
			found = append(found, path)
		}
	}
	return found
}
