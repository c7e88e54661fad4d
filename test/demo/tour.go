package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// forged is the MAC that the tour's villain uses, from the range for documentation (RFC
// 7042 section 2.1.2).
const forged = "00:00:5e:00:53:66"

// tour returns the scenes up to the removal.
func (s *stage) tour() []scene {
	return slices.Concat(s.sceneryScenes(), s.containerScenes(), s.trafficScenes())
}

// sceneryScenes show the host, and the agent that finds an interface which berth did not make.
func (s *stage) sceneryScenes() []scene {
	host := s.host.Machine
	return []scene{{
		what:  "A host with the NIC eth1, plugged into a switch with another machine.",
		on:    host,
		lines: []string{"ip -brief address"},
	}, {
		what: "A container that berth does not know: a macvlan interface, made by hand.",
		on:   host,
		lines: []string{
			"ip netns add cam",
			"ip link add lan0 link eth1 netns cam type macvlan mode bridge",
			"ip -n cam address add 192.0.2.9/24 dev lan0 && ip -n cam link set lan0 up",
		},
	}, {
		what:  "The agent needs no network and no change: it finds such interfaces, and counts them.",
		on:    host,
		lines: []string{"cat /etc/berth/berth.toml", "berthd --metrics 127.0.0.1:9477 >berthd.log 2>&1 &"},
	}, {
		what:  "So the first minute with berth shows who is on the LAN already.",
		on:    host,
		first: s.observed,
		lines: []string{"ip netns exec cam ping -c 2 -i 0.2 192.0.2.1", "berth ps"},
	}}
}

// containerScenes make a network, and start containers on it.
func (s *stage) containerScenes() []scene {
	host := s.host.Machine
	return []scene{{
		what: "A network: created with docker's flags, stored in a file that you can also write.",
		on:   host,
		lines: []string{
			"berth network create lan -d macvlan --subnet 192.0.2.0/24 \\\n" +
				"    --gateway 192.0.2.1 --ip-range 192.0.2.64/26 -o parent=eth1",
			"cat /etc/berth/networks.d/lan.toml",
		},
	}, {
		what: "Two containers with runc: the annotation and the hook are in config.json.",
		on:   host,
		lines: []string{
			"head -n 10 web/config.json",
			"runc run --detach --bundle web web",
			"runc run --detach --bundle api api",
			"runc exec web ip route",
		},
	}, {
		what: "A third with podman, which finds the hook in hooks.d.",
		on:   host,
		lines: []string{
			"cat " + hooksDir + "/berth.json",
			"podman run --detach --name db \\\n" +
				"    --network none --annotation berth/networks=lan busybox sleep 600",
		},
	}}
}

// trafficScenes send frames, allowed and forged ones.
func (s *stage) trafficScenes() []scene {
	host := s.host.Machine
	return []scene{{
		what: "They reach each other and the LAN's router.",
		on:   host,
		lines: []string{
			"runc exec web ping -c 3 -i 0.2 192.0.2.65",
			"runc exec api ping -c 2 -i 0.2 192.0.2.66",
			"runc exec web ping -c 2 -i 0.2 192.0.2.1",
		},
	}, {
		what:  "The LAN reaches them too, without port mappings.",
		on:    s.pc,
		lines: []string{"ping -c 2 -i 0.2 192.0.2.66"},
	}, {
		what:  "The containers on the LAN, and their traffic.",
		on:    host,
		lines: []string{"berth ps", "berth inspect web", "berth agent status"},
	}, {
		what: "The container web forges its MAC and sends.",
		on:   host,
		lines: []string{
			"runc exec web ip link set net1 address " + forged,
			"runc exec web ping -c 3 192.0.2.1",
		},
	}, {
		what:  "The agent reports it, and names the real sender.",
		on:    host,
		first: s.flagged,
		lines: []string{"berth events"},
	}}
}

// observed waits until the agent counts the interface that was made by hand.
func (s *stage) observed() error {
	return lab.Eventually(30*time.Second, func() error {
		var all []specs.Endpoint
		if err := s.host.BerthJSON(&all, "ps"); err != nil {
			return err
		}
		for _, e := range all {
			if e.Interface == "lan0" && e.Counted {
				return nil
			}
		}
		return fmt.Errorf("berth ps shows %+v, want lan0, counted", all)
	})
}

// flagged waits until the agent has the event.
func (s *stage) flagged() error {
	return lab.Eventually(10*time.Second, func() error {
		out, err := s.host.Berth("events", "--json")
		if err == nil && !strings.Contains(out, forged) {
			err = errors.New("no event about the forged MAC: " + out)
		}
		return err
	})
}

// takeDown returns the scenes of the removal. After a failure the state is unknown, so
// they are then quiet and ignore errors.
func (s *stage) takeDown(failed bool) []scene {
	host := s.host.Machine
	return []scene{{
		what:  "The containers end, and their interfaces and leases with them.",
		on:    host,
		quiet: failed,
		lines: []string{
			"ip netns delete cam", "runc delete --force web", "runc delete --force api", "podman rm --force --time 0 db",
			"berth ps", "berth ps --all", "berth network rm lan",
		},
	}, {
		what:  "The agent removes its programs from the parent, and ends.",
		on:    host,
		quiet: failed,
		lines: []string{"berth agent detach --purge", "kill $(pidof berthd)"},
	}, {
		what:  "Is anything left?",
		on:    host,
		quiet: failed,
		lines: []string{"ip -brief address", "find /sys/fs/bpf -name berth", "runc list", "berth ps"},
	}}
}
