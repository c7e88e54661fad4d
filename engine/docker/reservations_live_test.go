package docker

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/testnet"
)

// TestReservations requires that an address is docker's from its request to its release, also
// while no lease holds it, and that a release takes it from nothing else.
func TestReservations(t *testing.T) {
	t.Parallel()
	h, ns := newHost(t), testnet.Namespace(t)
	h.create(`,"conflict_timeout":"0"`)
	h.address("", 200, "192.0.2.2/24")
	h.address("", 200, "192.0.2.3/24")
	h.address("192.0.2.9", 200, "192.0.2.9/24")
	h.address("192.0.2.9", 200, "192.0.2.9/24") // docker lost the answer
	h.address("192.0.2.1", 500, `--ip \"192.0.2.1\": in the subnet 192.0.2.0/24 it is the gateway`)
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.9/24","MacAddress":"02:00:5e:00:53:09"}`), 200, `{"Interface":{}}`)
	h.address("192.0.2.9", 500, `is reserved for another container (a network defined in place); request another address, or none`)
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("b", `,"Interface":{"Address":"192.0.2.9/24"}`), 500, "reserved for another container")
	h.release("192.0.2.9") // of the endpoint that was refused
	h.expectHeld("192.0.2.2 192.0.2.3 192.0.2.9")
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`), 200, "Gateway")
	h.address("192.0.2.9", 500, "192.0.2.9")
	h.release("192.0.2.2")
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("c", `,"Interface":{"Address":"192.0.2.3/24"}`), 200, "MacAddress")
	h.callDriver("NetworkDriver.Join", endpoint("c", `,"SandboxKey":"`+testnet.Namespace(t).Path()+`"`), 200, "Gateway")
	h.callDriver("NetworkDriver.Leave", endpoint("c", ""), 200, "{}")
	h.expectHeld("192.0.2.9")
	h.address("", 200, "192.0.2.2/24")
	h.address("", 200, "192.0.2.4/24") // docker has 192.0.2.3 until it releases it
	h.callDriver("NetworkDriver.DeleteEndpoint", endpoint("c", ""), 200, "{}")
	h.release("192.0.2.3")
	h.address("", 200, "192.0.2.3/24")
}

// TestAnAddressOfTheLAN requires that no address of another machine is answered.
func TestAnAddressOfTheLAN(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create(`,"conflict_timeout":"1s"`)
	h.setOtherMachine("192.0.2.2")
	h.address("", 200, "192.0.2.3/24")
	h.address("192.0.2.2", 500, "the address is in use on the LAN")
	h.expectHeld("192.0.2.3")
}

// setOtherMachine gives addresses to the other machine of the LAN.
func (h *host) setOtherMachine(addresses ...string) {
	h.Helper()
	testnet.Run(h.T, h.wire, "ip", "link", "set", "wire", "up")
	for _, a := range addresses {
		testnet.Run(h.T, h.wire, "ip", "address", "add", a+"/24", "dev", "wire")
	}
}

// TestAnAddressIsProbedForOnce requires that Join does not probe again for an address that its
// request has seen free: another machine takes it meanwhile, and a probe would refuse it.
func TestAnAddressIsProbedForOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create(`,"conflict_timeout":"100ms"`)
	h.setOtherMachine()
	h.address("", 200, "192.0.2.2/24")
	h.setOtherMachine("192.0.2.2")
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.2/24"}`), 200, "MacAddress")
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+testnet.Namespace(t).Path()+`"`), 200, "Gateway")
}

// TestAddressesSeenFree requires that a request uses the sightings of a prober, which it starts,
// and that a requested address is probed for in any case.
func TestAddressesSeenFree(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var taken []netip.Addr
	h.ahead = func(all []hook.ProbeRequest) error {
		for _, each := range all {
			taken = append(taken, each.Taken...)
		}
		return h.NewHook().ProbeAhead(h.Context(), all)
	}
	h.writeNetwork("lan", "conflict_timeout = \"1s\"\n", "[policy]\nstatic_ips = true\n")
	h.callDriver("NetworkDriver.CreateNetwork", request(`{"network":"lan"}`), 200, "{}")
	h.setOtherMachine()
	h.address("", 200, "192.0.2.2/24")
	h.setOtherMachine("192.0.2.3", "192.0.2.4")
	h.address("", 200, "192.0.2.3/24")
	h.address("192.0.2.4", 500, "the address is in use on the LAN")
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.3")}; !slices.Equal(taken, want) {
		t.Errorf("the prober probes once more for %v, want %v", taken, want)
	}
}

// TestSweep requires that endpoints and addresses are freed that docker has forgotten, and no
// others.
func TestSweep(t *testing.T) {
	t.Parallel()
	h, ns := newHost(t), testnet.Namespace(t)
	h.create(`,"conflict_timeout":"0"`)
	h.address("192.0.2.7", 200, "")
	h.address("192.0.2.8", 200, "")
	h.address("192.0.2.9", 200, "")
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.8/24"}`), 200, "")
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("b", `,"Interface":{"Address":"192.0.2.9/24"}`), 200, "")
	h.callDriver("NetworkDriver.Join", endpoint("b", `,"SandboxKey":"`+ns.Path()+`"`), 200, "")
	sweep := func(want int, held string) {
		t.Helper()
		if n, err := h.Sweep(t.Context()); n != want || err != nil {
			t.Errorf("swept %d, %v, want %d", n, err, want)
		}
		h.expectHeld(held)
	}
	sweep(0, "192.0.2.7 192.0.2.8 192.0.2.9")
	now := h.now()
	h.Now = func() time.Duration { return now + orphanAge + time.Minute }
	sweep(3, "192.0.2.9") // the endpoint a, its address, and the one without an endpoint
	sweep(0, "192.0.2.9")
	h.callDriver("NetworkDriver.Leave", endpoint("b", ""), 200, "{}")
	sweep(2, "")
}

// TestAnExhaustedPoolIsSwept requires that addresses that docker has forgotten are no obstacle.
func TestAnExhaustedPoolIsSwept(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create(`,"conflict_timeout":"0"`)
	small := `{"PoolID":"` + pool24 + ` 192.0.2.64/31","Address":""}`
	h.callDriver("IpamDriver.RequestAddress", small, 200, "192.0.2.64/24")
	h.callDriver("IpamDriver.RequestAddress", small, 200, "192.0.2.65/24")
	h.callDriver("IpamDriver.RequestAddress", small, 500, "all 2 addresses of 192.0.2.64/31 are held, by a container that starts")
	now := h.now()
	h.Now = func() time.Duration { return now + orphanAge + time.Minute }
	h.callDriver("IpamDriver.RequestAddress", small, 200, "192.0.2.64/24")
}

// TestARangeOfDocker requires that docker's --ip-range narrows the range of a network of berth's, and
// does not leave it: another host may give out the addresses beside it.
func TestARangeOfDocker(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", "conflict_timeout = \"0\"\n", "[policy]\nstatic_ips = true\n")
	h.addRange("lan")
	h.callDriver("NetworkDriver.CreateNetwork", request(`{"network":"lan"}`), 200, "{}")
	within := func(part, asked string) string {
		return `{"PoolID":"` + pool24 + ` ` + part + `","Address":"` + asked + `"}`
	}
	h.callDriver("IpamDriver.RequestAddress", within("192.0.2.80/28", ""), 200, "192.0.2.80/24")
	h.callDriver("IpamDriver.RequestAddress", within("192.0.2.0/25", ""), 200, "192.0.2.64/24")
	for _, asked := range []string{"", "192.0.2.130"} {
		h.callDriver("IpamDriver.RequestAddress", within("192.0.2.128/26", asked), 500,
			`--ip-range \"192.0.2.128/26\": network \"lan\" gives out addresses of 192.0.2.64/26; create`)
	}
	h.expectHeld("192.0.2.64 192.0.2.80")
}

// addRange adds the range 192.0.2.64/26 to the file of a network.
func (h *host) addRange(name string) {
	h.Helper()
	path := config.NetworkFile(h.Dirs.Config, name)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(text, "ip_range = \"192.0.2.64/26\"\n"...), 0o644)
	}
	if err != nil {
		h.Fatal(err)
	}
}

// TestTheGatewayOfAnInternalNetwork requires that no container of an internal network gets the
// gateway's address: the network has no default route, but the LAN has the machine.
func TestTheGatewayOfAnInternalNetwork(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	internal := strings.Replace(request(`{"parent":"`+h.parent+`","conflict_timeout":"0"}`), `"Options":{`, `"Options":{"com.docker.network.internal":true,`, 1)
	h.callDriver("NetworkDriver.CreateNetwork", internal, 200, "{}")
	h.address("192.0.2.1", 500, `--ip \"192.0.2.1\": in the subnet 192.0.2.0/24 it is excluded`)
	h.address("", 200, "192.0.2.2/24")
}

// TestPoolID requires that a pool is found again by its ID.
func TestPoolID(t *testing.T) {
	t.Parallel()
	for _, p := range []pool{
		{space, netip.MustParsePrefix("192.0.2.0/24"), netip.Prefix{}},
		{space, netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8::/80")},
	} {
		if got, err := parsePool(p.id()); got != p || err != nil {
			t.Errorf("%+v, %v, want %+v", got, err, p)
		}
	}
}
