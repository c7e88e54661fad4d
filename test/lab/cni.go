package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// engineNetworkName is the network that engines make by CNI: a bridge on the
// host, with a default route by it.
const engineNetworkName = "lab"

// EngineSubnet is that network's.
const EngineSubnet = "198.51.100.0/24"

const engineNetwork = `{
	"cniVersion": "0.4.0",
	"name": %q,
	"plugins": [{
		"type": "bridge", "bridge": "lab0", "isGateway": true,
		"ipam": {
			"type": "host-local", "dataDir": "%s/%s-leases",
			"ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]
		}
	}]
}
`

// writeEngineNetwork writes it into a folder of CNI's. Hosts that share a
// folder write the same, so it is there at once or not at all.
func writeEngineNetwork(dir string) error {
	text := fmt.Sprintf(engineNetwork, engineNetworkName, Dir, filepath.Base(dir), EngineSubnet)
	temporary := filepath.Join(dir, unique("new"))
	return firstError(writeFile(temporary, text), os.Rename(temporary, filepath.Join(dir, "10-lab.conflist")))
}

// netavarkNetwork is the same network as podman keeps it for netavark.
const netavarkNetwork = `{
	"name": %q,
	"id": "%064d",
	"driver": "bridge", "network_interface": "lab0", "created": "2026-01-01T00:00:00Z",
	"subnets": [{"subnet": %q, "gateway": "198.51.100.1"}],
	"ipv6_enabled": false, "internal": false, "dns_enabled": false,
	"ipam_options": {"driver": "host-local"}
}
`

func writeNetavarkNetwork(dir string) error {
	text := fmt.Sprintf(netavarkNetwork, engineNetworkName, 1, EngineSubnet)
	return writeFile(filepath.Join(dir, engineNetworkName+".json"), text)
}
