package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// engineNetworkName is the name of the network that engines make by CNI: a bridge on the
// host, which provides the default route.
const engineNetworkName = "lab"

// EngineSubnet is the subnet of that network.
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

// writeEngineNetwork writes the network into a directory of CNI. It renames a complete
// file, because hosts that share the directory write the same one.
func writeEngineNetwork(dir string) error {
	text := fmt.Sprintf(engineNetwork, engineNetworkName, Dir, filepath.Base(dir), EngineSubnet)
	temporary := filepath.Join(dir, unique("new"))
	return firstError(writeFile(temporary, text), os.Rename(temporary, filepath.Join(dir, "10-lab.conflist")))
}

// writeCNI makes one of berth's networks one of CNI: it writes berth-cni, with this host's
// directories, among the plugins, and the file that names the network.
func (h *Host) writeCNI(network, plugins, networks string) error {
	plugin := filepath.Join(plugins, "berth-cni")
	words := append([]string{filepath.Join(h.Bin, "berth-cni")}, h.flags()...)
	conf := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %[1]q, "plugins": [
		{"type": "berth-cni", "network": %[1]q, "capabilities": {"ips": true, "mac": true}}]}`, network)
	return firstError(writeFile(plugin, "#!/bin/sh\nexec "+strings.Join(words, " ")+"\n"), os.Chmod(plugin, 0o755),
		writeFile(filepath.Join(networks, network+".conflist"), conf))
}

// netavarkNetwork is the same network in podman's format for netavark.
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
