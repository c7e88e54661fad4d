package hostshim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// The commands of a snapshot use few processes, because a test takes many snapshots.
const (
	lookAtIP  = "link show\naddr show\nroute show table all\nrule show\n"
	lookAtARP = "cd /proc/sys/net/ipv4/conf && grep . */arp_filter */arp_announce */arp_ignore */rp_filter"
)

// operstate matches the state that the kernel changes by itself within a second.
var operstate = regexp.MustCompile(`state [A-Z]+ `)

// snapshot returns everything of the host that an enable may change, and the records.
func (l *lab) snapshot() string {
	l.Helper()
	var s strings.Builder
	batch := filepath.Join(l.dirs.Config, "batch")
	if err := os.WriteFile(batch, []byte(lookAtIP), 0o644); err != nil {
		l.Fatal(err)
	}
	s.WriteString(operstate.ReplaceAllString(testnet.Run(l.T, l.host, "ip", "-o", "-batch", batch), ""))
	s.WriteString(testnet.Run(l.T, l.host, "ip", "-6", "-o", "route", "show", "table", "all"))
	s.WriteString(testnet.Run(l.T, l.host, "sh", "-c", lookAtARP))
	err := l.store.View(l.Context(), func(tx *state.Tx) error {
		for lease, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "lease %s of %q\n", lease.Addr, lease.Owner)
		}
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "attachment %s of %v, %s\n", a.Interface, a.Containers, a.Phase)
		}
		all, err := hostshim.All(tx)
		for _, r := range all {
			fmt.Fprintf(&s, "host shim %s\n", r.Network)
		}
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	return s.String()
}

func (l *lab) requireUnchanged(what, before string) {
	l.Helper()
	if after := l.snapshot(); after != before {
		l.Errorf("%s: left behind:\n%s\nbefore:\n%s", what, after, before)
	}
}
