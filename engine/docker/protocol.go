package docker

import (
	"net/netip"
)

// MediaType is the content type of the protocol's answers.
const MediaType = "application/vnd.docker.plugins.v1.2+json"

// MaxRequest is the largest request, in bytes, that the driver reads.
const MaxRequest = 1 << 20

// The keys of docker's options.
const (
	optionGeneric   = "com.docker.network.generic"         // those of "docker network create -o"
	optionInternal  = "com.docker.network.internal"        // of "docker network create --internal"
	optionInterface = "com.docker.network.endpoint.ifname" // the interface's name in the container
	optionType      = "RequestAddressType"                 // of a request that is no container's
	optionNetwork   = "network"
	optionMode      = "macvlan_mode" // docker's word for berth's "mode"
)

// Activation is the answer to Plugin.Activate.
type Activation struct{ Implements []string }

// Capabilities is the answer to NetworkDriver.GetCapabilities. GwAllocChecker makes docker ask
// GwAllocCheck, by which it takes no address for a gateway of its own.
type Capabilities struct {
	Scope             string
	ConnectivityScope string
	GwAllocChecker    bool
}

// GatewayCheck is the answer to NetworkDriver.GwAllocCheck.
type GatewayCheck struct{ SkipIPv4, SkipIPv6 bool }

// IPAMCapabilities is the answer to IpamDriver.GetCapabilities.
type IPAMCapabilities struct {
	RequiresMACAddress    bool // docker would choose the MAC, also of an interface that has its parent's
	RequiresRequestReplay bool // docker would repeat the requests of pools after its start
}

// AddressSpaces is the answer to IpamDriver.GetDefaultAddressSpaces.
type AddressSpaces struct{ LocalDefaultAddressSpace, GlobalDefaultAddressSpace string }

// RequestPool is the request of IpamDriver.RequestPool.
type RequestPool struct {
	AddressSpace string
	Pool         string // the subnet, or "" if the driver shall choose
	SubPool      string // the part from which addresses are given out
	Options      map[string]string
}

// GivenPool is the answer to IpamDriver.RequestPool.
type GivenPool struct{ PoolID, Pool string }

// AddressRequest is the request of IpamDriver.RequestAddress and of ReleaseAddress.
type AddressRequest struct {
	PoolID  string
	Address string // "" for any
	Options map[string]string
}

// GivenAddress is the answer to IpamDriver.RequestAddress.
type GivenAddress struct{ Address netip.Prefix }

// CreateNetwork is the request of NetworkDriver.CreateNetwork.
type CreateNetwork struct {
	NetworkID string
	Options   map[string]any
	IPv4Data  []Pool
	IPv6Data  []Pool
}

// Pool is a subnet of a network of docker.
type Pool struct {
	AddressSpace string
	Pool         netip.Prefix
	Gateway      string            // with the prefix of the subnet, or ""
	AuxAddresses map[string]string // by their names, which are only for people
}

// DeleteNetwork is the request of NetworkDriver.DeleteNetwork.
type DeleteNetwork struct{ NetworkID string }

// EndpointRequest is the request of CreateEndpoint, and of Join, which adds the sandbox.
type EndpointRequest struct {
	NetworkID  string
	EndpointID string
	SandboxKey string `json:",omitempty"` // the path of the network namespace
	Options    map[string]any
	Interface  *EndpointInterface `json:",omitempty"`
}

// EndpointInterface is docker's part of an interface, as request and as answer.
type EndpointInterface struct {
	Address     string `json:",omitempty"`
	AddressIPv6 string `json:",omitempty"`
	MacAddress  string `json:",omitempty"`
}

// CreatedEndpoint is the answer to CreateEndpoint: what docker left to the driver.
type CreatedEndpoint struct{ Interface EndpointInterface }

// Joined is the answer to Join. It names no interface, because the interface is in the sandbox
// already. docker would add one of its own for a gateway if the service were not disabled. It
// sets the default route by the gateways, for the network that its rules choose.
type Joined struct {
	Gateway               string `json:",omitempty"`
	GatewayIPv6           string `json:",omitempty"`
	DisableGatewayService bool
}
