package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/engine/doortest"
	"berth/internal/testnet"
)

// box is a container as docker knows it.
type box struct {
	ns      *testnet.NS
	id      string // of the endpoint
	address string // of which docker got the answer, or ""
	created bool   // docker got the answer of CreateEndpoint
	joined  bool   // docker got the answer of Join
}

// crowd plays docker's calls of several containers, each answered by a process of its own that may
// be killed.
type crowd struct {
	*host
	*doortest.Killer
	boxes []*box
}

// request runs a call in a process that is killed at a random time. docker repeats a call whose
// connection ends, or gives up. The answer is "" if docker has none.
func (c *crowd) request(name, body string) (answer string) {
	c.Helper()
	for {
		cmd := c.program(testnet.NoStep, name, body)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		killed, _ := c.Run(cmd) // the status of a process that answers is 1
		if killed && c.Rand.IntN(2) == 0 {
			return ""
		}
		if killed {
			continue
		}
		code, answer, _ := strings.Cut(strings.TrimSpace(out.String()), " ")
		if code != "200" {
			c.Errorf("%s %s: %s", name, body, &out)
		}
		return answer
	}
}

// step takes a container one call further, or ends it.
func (c *crowd) step(b *box) {
	c.Helper()
	switch {
	case b.address == "":
		c.reserve(b)
	case !b.created:
		b.created = c.request("NetworkDriver.CreateEndpoint", b.request(`,"Interface":{"Address":"`+b.address+`"}`)) != ""
	case !b.joined:
		b.joined = c.request("NetworkDriver.Join", b.request(`,"SandboxKey":"`+b.ns.Path()+`"`)) != ""
	default:
		c.end(b)
		return
	}
	if c.Rand.IntN(6) == 0 {
		c.end(b) // docker has given up
	}
}

func (b *box) request(more string) string {
	return `{"NetworkID":"` + id + `","EndpointID":"` + b.id + `"` + more + `}`
}

// reserve requests an address, which no other container may have.
func (c *crowd) reserve(b *box) {
	c.Helper()
	answer := c.request("IpamDriver.RequestAddress", `{"PoolID":"`+pool24+`","Address":""}`)
	if answer == "" {
		return
	}
	var given GivenAddress
	if err := json.Unmarshal([]byte(answer), &given); err != nil {
		c.Fatalf("%v: %s", err, answer)
	}
	for _, other := range c.boxes {
		if other.address == given.Address.String() {
			c.Errorf("the address %s is given out twice", given.Address)
		}
	}
	b.address = given.Address.String()
}

// end makes docker's calls for the end of a container. Each may be killed; docker then forgets it.
func (c *crowd) end(b *box) {
	c.Helper()
	if b.joined {
		c.request("NetworkDriver.Leave", b.request(""))
	}
	c.request("NetworkDriver.DeleteEndpoint", b.request(""))
	if b.address != "" {
		address, _, _ := strings.Cut(b.address, "/")
		c.request("IpamDriver.ReleaseAddress", `{"PoolID":"`+pool24+`","Address":"`+address+`"}`)
	}
	ns, previous := b.ns, b.id
	*b = box{ns: ns, id: fmt.Sprintf("%064x", c.Rand.Uint64())}
	c.callDriver("NetworkDriver.DeleteEndpoint", `{"NetworkID":"`+id+`","EndpointID":"`+previous+`"}`, 200, "{}") // its namespace ends too
	if links := testnet.Run(c.T, ns, "ip", "-o", "link", "show", "type", "macvlan"); links != "" {
		c.Errorf("left behind: %s", links)
	}
}

// TestRandomKills kills the driver at random times of all calls, a hundred times, or twenty with
// -short. No address is given out twice, and the sweep leaves nothing.
func TestRandomKills(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &crowd{host: newHost(t), Killer: doortest.NewKiller(seed)}
	c.create(`,"conflict_timeout":"0"`)
	for i := range 4 {
		c.boxes = append(c.boxes, &box{ns: testnet.Namespace(t), id: fmt.Sprintf("%064x", i)})
	}
	kills := 100
	if testing.Short() {
		kills = 20
	}
	for deadline := time.Now().Add(5 * time.Minute); c.Kills < kills && !t.Failed(); {
		if time.Now().After(deadline) {
			t.Fatalf("only %d calls were killed before their end", c.Kills)
		}
		c.step(c.boxes[c.Rand.IntN(len(c.boxes))])
	}
	for _, b := range c.boxes {
		c.end(b)
	}
	now := c.now()
	c.Now = func() time.Duration { return now + 2*orphanAge }
	if _, err := c.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	c.expectHeld("")
}
