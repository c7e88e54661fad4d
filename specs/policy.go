package specs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is CONFIG/berth.toml. If the file does not exist, all defaults apply.
type Config struct {
	Policy  Policy        `toml:"policy"`
	Agent   Agent         `toml:"agent"`
	Cluster ClusterConfig `toml:"cluster"`
}

// Policy limits the requests of annotations. Annotations are untrusted: in a
// cluster, every user that may create a pod writes them.
type Policy struct {
	Networks   []string `toml:"networks"`    // networks that annotations may name, as globs
	Parents    []string `toml:"parents"`     // parents that they may name in place, as globs
	Modes      []string `toml:"modes"`       // modes that they may set in place
	VLANs      []string `toml:"vlans"`       // VLAN ids that they may set in place, as "100-199"
	StaticIPs  bool     `toml:"static_ips"`  // whether they may request addresses inside the subnet
	StaticMACs bool     `toml:"static_macs"` // whether they may request MACs
}

// DefaultConfig returns the configuration of a machine without berth.toml.
func DefaultConfig() Config {
	return Config{
		Policy:  Policy{Networks: []string{"*"}},
		Agent:   defaultAgent(),
		Cluster: ClusterConfig{Directory: DefaultClusterDirectory},
	}
}

// DecodeConfig reads berth.toml over the defaults and checks it.
func DecodeConfig(data []byte) (Config, error) {
	c := DefaultConfig()
	if err := decodeTOML(data, &c); err != nil {
		return Config{}, err
	}
	return c, c.checkConfig()
}

func (c *Config) checkConfig() error {
	for key, globs := range map[string][]string{"policy.networks": c.Policy.Networks, "policy.parents": c.Policy.Parents} {
		for i, glob := range globs {
			if err := checkGlob(glob); err != nil {
				return At(fmt.Sprintf("%s[%d]", key, i), err)
			}
		}
	}
	for i, mode := range c.Policy.Modes {
		if err := new(Mode).UnmarshalText([]byte(mode)); err != nil {
			return At(fmt.Sprintf("policy.modes[%d]", i), err)
		}
	}
	for i, ids := range c.Policy.VLANs {
		if _, _, err := parseVLANs(ids); err != nil {
			return At(fmt.Sprintf("policy.vlans[%d]", i), err)
		}
	}
	if err := c.Agent.checkAgent(); err != nil {
		return err
	}
	return At("cluster", c.Cluster.checkCluster())
}

func parseVLANs(s string) (first, last int, err error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16) // unlike Atoi, it refuses signs
	to, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || from < 1 || to > MaxVLAN || from > to {
		return 0, 0, Invalid("", s, "a VLAN id or a range as 100-199, inside 1 to %d", MaxVLAN)
	}
	return int(from), int(to), nil
}

// AllowNetwork returns an [ErrPolicy] if annotations may not name the network.
func (p *Policy) AllowNetwork(name string) error {
	if matchAny(p.Networks, name) {
		return nil
	}
	return policyError("networks", name, "[policy] networks in berth.toml permits only %q", p.Networks)
}

// ParentNames are the names of a parent for the policy. An interface may have
// alternative names, and a name in the form TRUNK.ID need not be a VLAN.
type ParentNames struct {
	Names []string // of the interface, or the future name if it does not exist
	Trunk []string // of its trunk, if the parent is a VLAN with the name TRUNK.ID
	VLAN  int      // its id; 0 if the parent is no VLAN
}

// WrittenNames returns the names that follow from the written name of a parent.
func WrittenNames(parent string) ParentNames {
	names := ParentNames{Names: []string{parent}}
	if trunk, id, isVLAN := SplitVLAN(parent); isVLAN {
		names.Trunk, names.VLAN = []string{trunk}, id
	}
	return names
}

// AllowInPlace returns an [ErrPolicy] if an annotation may not define the parent,
// mode or VLAN in place. It uses the name of the parent as written.
func (p *Policy) AllowInPlace(n *Network) error { return p.AllowInPlaceOn(n, WrittenNames(n.Parent)) }

// AllowInPlaceOn does the same as [Policy.AllowInPlace] for all names of a parent.
func (p *Policy) AllowInPlaceOn(n *Network, parent ParentNames) error {
	listed := func(name string) bool { return matchAny(p.Parents, name) }
	byName, byTrunk := slices.ContainsFunc(parent.Names, listed), slices.ContainsFunc(parent.Trunk, listed)
	if !byName && !byTrunk {
		return notListed("parent", n.Parent, "parents", p.Parents)
	}
	if !byName && !p.allowsVLAN(parent.VLAN) {
		return policyError("parent", n.Parent, "[policy] vlans in berth.toml permits only the VLAN ids %q", p.VLANs)
	}
	if !matchAny(p.Modes, string(n.Mode)) {
		return notListed("mode", string(n.Mode), "modes", p.Modes)
	}
	return p.allowAddressing(n)
}

// The bounds of the conflict probe in an annotation: without a probe, a
// container could take the address of a router.
const (
	leastProbe = Duration(DefaultConflictTimeout)
	mostProbe  = Duration(time.Second)
)

// allowAddressing refuses a network defined in place if the container chooses its
// addresses: a small subnet or range is equivalent to an address.
func (p *Policy) allowAddressing(n *Network) error {
	if p.StaticIPs {
		return nil
	}
	if len(n.Subnets) > 0 {
		return policyError("subnet", n.Subnets[0].Subnet.String(),
			"containers may not choose addresses; leave the subnet out, or set static_ips = true under [policy] in berth.toml")
	}
	if t := *n.ConflictTimeout; t < leastProbe || t > mostProbe {
		return policyError("conflict_timeout", t.String(), "containers may choose only %s to %s; set static_ips = true "+
			"under [policy] in berth.toml to permit others", leastProbe, mostProbe)
	}
	if n.MAC == MACDerived && !p.StaticMACs {
		ofDHCP := ""
		if n.UsesDHCP() {
			ofDHCP = `with DHCP "derived" is the default, so request "mac": "random"; or `
		}
		return policyError("mac", string(n.MAC), "containers may choose only \"random\"; %sset static_macs = true under "+
			"[policy] in berth.toml to permit others", ofDHCP)
	}
	if n.DHCPClientID == ClientIDName && !p.StaticMACs {
		return policyError("dhcp_client_id", string(n.DHCPClientID), "containers may not choose the identifier by which a "+
			"DHCP server recognises a container; leave it out, or set static_macs = true under [policy] in berth.toml")
	}
	return nil
}

func (p *Policy) allowsVLAN(id int) bool {
	for _, ids := range p.VLANs {
		if from, to, err := parseVLANs(ids); err == nil && from <= id && id <= to {
			return true
		}
	}
	return false
}

// AllowRequest returns an [ErrPolicy] if annotations may not request an address
// or a MAC.
func (p *Policy) AllowRequest(s *Selection) error {
	if len(s.IPs) > 0 && !p.StaticIPs {
		return policyError("ips", s.IPs[0].String(), "containers may not request addresses; set static_ips = true under "+
			"[policy] in berth.toml to permit them")
	}
	if !s.MAC.IsZero() && !p.StaticMACs {
		return policyError("mac", s.MAC.String(), "containers may not request MACs; set static_macs = true under "+
			"[policy] in berth.toml to permit them")
	}
	return nil
}

// AllowNamespace returns an [ErrPolicy] if a Kubernetes namespace may not use the
// network; "" stands for a container outside of Kubernetes.
func (n *Network) AllowNamespace(namespace string) error {
	if len(n.Namespaces) == 0 || matchAny(n.Namespaces, namespace) {
		return nil
	}
	return policyError("network", n.Name, "the namespace %q may not use it; its file has namespaces = %q",
		namespace, n.Namespaces)
}

// notListed returns an [ErrPolicy] for a value that a list of the policy does not have.
func notListed(key, value, setting string, list []string) error {
	if len(list) == 0 {
		return policyError(key, value, "[policy] %[1]s in berth.toml permits none; to permit it, set %[1]s = [%[2]q] there",
			setting, value)
	}
	return policyError(key, value, "[policy] %s in berth.toml permits only %q", setting, list)
}

func policyError(key, value, problem string, args ...any) error {
	return &ValueError{Key: key, Value: value, Problem: fmt.Sprintf(problem, args...), Err: ErrPolicy}
}
