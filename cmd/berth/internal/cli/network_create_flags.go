package cli

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"berth/specs"
)

// createFlags are the flags of `docker network create`, kept as text until
// [createFlags.parseNetwork] parses them, so that every wrong value is reported in the same way.
type createFlags struct {
	driver, ipamDriver string
	options, auxiliary listFlag
	subnets, gateways  listFlag
	ranges             listFlag
	ipv4, ipv6         bool
	attachable         bool

	given func(flag string) bool
}

// listFlag is a flag that may be repeated.
type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, ",") }
func (l *listFlag) Type() string       { return "" }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

// splitItems also splits values at commas, as docker does for these flags.
func (l listFlag) splitItems() []string {
	if len(l) == 0 {
		return nil
	}
	return strings.Split(l.String(), ",")
}

func (o *createFlags) registerFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVarP(&o.driver, "driver", "d", string(specs.Macvlan), "`DRIVER`: macvlan or ipvlan")
	flags.Var(&o.subnets, "subnet", "`SUBNET`, as 192.0.2.0/24")
	flags.Var(&o.gateways, "gateway", "`ADDRESS` of the router; without it there is no default route")
	flags.Var(&o.ranges, "ip-range", "`RANGE` of a subnet from which this host assigns addresses")
	flags.Var(&o.auxiliary, "aux-address", "`[NAME=]IP` or prefix that is never assigned")
	flags.VarP(&o.options, "opt", "o", "`KEY=VALUE` of a network file: parent=eth1, mtu=1400, …")
	flags.BoolVar(&o.ipv4, "ipv4", true, "give IPv4 addresses; the subnets decide")
	flags.BoolVar(&o.ipv6, "ipv6", false, "give IPv6 addresses; an IPv6 subnet implies it")
	flags.StringVar(&o.ipamDriver, "ipam-driver", "default",
		"`SOURCE` of addresses: default (this host), cluster, static, dhcp, none")
	flags.BoolVar(&o.attachable, "attachable", false, "accepted without effect: any container may use the network")
	for name, reason := range notOurs {
		flags.Var(refused(reason), name, "not for networks of berth's")
		flags.Lookup(name).Hidden = true
		flags.Lookup(name).NoOptDefVal = boolOnly[name]
	}
	o.given = flags.Changed
}

// notOurs are docker's flags that have no meaning for berth. They are refused with the
// reason: if berth ignored them, a network could be more open than its owner believes.
var notOurs = map[string]string{
	"internal":    "a network of berth's is on the LAN by its nature; without --gateway it has no default route",
	"ingress":     "berth has no swarm",
	"scope":       "a network of berth's belongs to one host",
	"config-only": "a file in networks.d can be copied instead",
	"config-from": "a file in networks.d can be copied instead",
	"ipam-opt":    "berth's own address pools have no options",
	"label":       "berth keeps no labels; a network's file may have comments",
}

// boolOnly holds the values of flags given without one.
var boolOnly = map[string]string{"internal": "true", "ingress": "true", "config-only": "true"}

type refused string

func (r refused) String() string   { return "" }
func (r refused) Type() string     { return "" }
func (r refused) Set(string) error { return errors.New(string(r)) }
