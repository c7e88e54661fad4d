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
