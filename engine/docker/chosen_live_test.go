package docker

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// byDocker returns a CreateNetwork whose addresses docker's own IPAM driver chooses.
func byDocker(options string) string {
	return strings.ReplaceAll(request(options), space, localSpace)
}

// chosen returns a CreateEndpoint with an address that docker chose.
func chosen(letter, address string) string {
	return endpoint(letter, `,"Options":{},"Interface":{"Address":"`+address+`/24"}`)
}

// TestAddressesThatDockerChooses plays containers on a network without berth's IPAM driver: each
// address is reserved from CreateEndpoint to DeleteEndpoint, and refused if it is not free.
func TestAddressesThatDockerChooses(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.callDriver("NetworkDriver.CreateNetwork", byDocker(`{"parent":"`+h.parent+`","conflict_timeout":"1s"}`), 200, "{}")
	h.setOtherMachine("192.0.2.3")
	for range 2 { // docker lost the first answer
		h.callDriver("NetworkDriver.CreateEndpoint", chosen("a", "192.0.2.2"), 200, "MacAddress")
	}
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("b", "192.0.2.2"), 500, "--ipam-driver berth, which finds a free one")
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("b", "192.0.2.3"), 500, "docker chose the address: the address is in use on the LAN")
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("b", "192.0.2.1"), 500, "the gateway")
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+testnet.Namespace(t).Path()+`"`), 200, `"Gateway":"192.0.2.1"`)
	h.expectHeld("192.0.2.2")
	h.callDriver("NetworkDriver.Leave", endpoint("a", ""), 200, "{}")
	for range 2 {
		h.callDriver("NetworkDriver.DeleteEndpoint", endpoint("a", ""), 200, "{}")
	}
	h.expectHeld("")
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("c", "192.0.2.2"), 200, "MacAddress")
	now := h.now()
	h.Now = func() time.Duration { return now + orphanAge + time.Minute }
	if n, err := h.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("swept %d, %v, want the endpoint and its address", n, err)
	}
	h.expectHeld("")
}

// TestDockerChoosesInTheRange requires that docker's own choice stays in the range of a network of
// berth's, and that the policy permits requests, which docker's choices are.
func TestDockerChoosesInTheRange(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", "conflict_timeout = \"0\"\n", "")
	h.callDriver("NetworkDriver.CreateNetwork", byDocker(`{"network":"lan"}`), 500, "containers may not request addresses; set static_ips = true")
	h.writeNetwork("lan", "conflict_timeout = \"0\"\n", "[policy]\nstatic_ips = true\n")
	h.addRange("lan")
	h.callDriver("NetworkDriver.CreateNetwork", byDocker(`{"network":"lan"}`), 200, "{}")
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("a", "192.0.2.2"), 500, "or with --ip-range 192.0.2.64/26")
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("a", "192.0.2.64"), 200, "MacAddress")
	h.expectHeld("192.0.2.64")
}

// TestASharedPoolBehindDocker requires that docker's containers get addresses of this node's part
// of a pool that nodes share, that the agent is asked for one of another part, and that their MACs
// are no other node's.
func TestASharedPoolBehindDocker(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", "ipam = \"cluster\"\ndomain = \"hq\"\nconflict_timeout = \"0\"\n",
		"[policy]\nstatic_ips = true\n[cluster]\netcd = [\"http://192.0.2.250:2379\"]\n")
	h.openPart(lease.Part{MAC: [2]byte{0x13, 0xc1}})
	h.openPart(lease.Part{Prefix: netip.MustParsePrefix("192.0.2.72/31")})
	h.callDriver("NetworkDriver.CreateNetwork", request(`{"network":"lan"}`), 200, "{}")
	h.address("", 200, "192.0.2.72/24")
	h.address("", 200, "192.0.2.73/24")
	requested := netip.MustParseAddr("192.0.2.9")
	h.address(requested.String(), 500, `this node does not own the address 192.0.2.9 of domain \"hq\"`)
	if err := h.Store.View(t.Context(), func(tx *state.Tx) error {
		if !lease.Wished(tx, "hq", requested) {
			t.Error("the agent is not asked for the address")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	h.openPart(lease.Part{Prefix: netip.PrefixFrom(requested, 32)})
	h.address(requested.String(), 200, "192.0.2.9/24")
	h.callDriver("NetworkDriver.CreateEndpoint", chosen("a", "192.0.2.72"), 200, `"MacAddress":"02:13:c1:`)
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+testnet.Namespace(t).Path()+`"`), 200, "Gateway")
}

func (h *host) openPart(p lease.Part) {
	h.Helper()
	if err := h.Store.Update(h.Context(), func(tx *state.Tx) error { return lease.OpenPart(tx, "hq", p) }); err != nil {
		h.Error(err)
	}
}
