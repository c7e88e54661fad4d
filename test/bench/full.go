package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
	"berth/test/lab"
)

// heldLeases is the number of leases of other containers in the crowded variants.
const heldLeases = 10_000

// fillBerth creates leases of the network for other containers.
func fillBerth(host *lab.Host, subnet netip.Prefix) error {
	parent, err := net.InterfaceByName("eth1")
	if err != nil {
		return err
	}
	pool := ipam.NewPool("lan", specs.Subnet{Subnet: subnet}, nil)
	domain := (&state.Attachment{ParentIndex: parent.Index}).Domain()
	return state.Open(host.State).Update(context.Background(), func(tx *state.Tx) error {
		leases := lease.In(tx, domain)
		for i := range heldLeases {
			owner := lease.Owner{Key: state.Key(uint64(i), "net1"), Container: fmt.Sprintf("other%d", i), Network: "lan"}
			if _, err := leases.Take(pool, owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// fillCNI writes the files of host-local, one per lease, in the format of
// plugins/ipam/host-local/backend/disk.
func fillCNI(dir string, subnet netip.Prefix) error {
	dir = filepath.Join(dir, "lan")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var last netip.Addr
	for i, a := 0, subnet.Addr().Next().Next(); i < heldLeases; i, a = i+1, a.Next() {
		content := fmt.Sprintf("other%d\r\nnet1", i)
		if err := os.WriteFile(filepath.Join(dir, a.String()), []byte(content), 0o600); err != nil {
			return err
		}
		last = a
	}
	return os.WriteFile(filepath.Join(dir, "last_reserved_ip.0"), []byte(last.String()), 0o600)
}

// crowded returns the variants of both peers that already hold many leases. It starts a service, because
// a service has one directory of state; the host's processes end with the bench.
func crowded(host *lab.Host) ([]peer, error) {
	subnet := netip.MustParsePrefix("198.18.0.0/15") // RFC 2544: for benchmarks
	full := *host
	full.State, full.Config = host.State+"-crowded", host.Config+"-crowded"
	cni := filepath.Join(host.Dir, "cni-crowded")
	err := errors.Join(
		os.MkdirAll(filepath.Join(full.Config, "networks.d"), 0o755),
		full.Network("lan", berthNetwork(subnet, 0)),
		fillBerth(&full, subnet), fillCNI(cni, subnet))
	if err == nil {
		_, err = full.StartHookService()
	}
	return []peer{newClient(berthCrowded, &full, onLAN), newCNI(cniCrowded, pluginDir, cni, subnet)}, err
}
