package dhcp

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestConflict(t *testing.T) {
	t.Parallel()
	c := newTest4()
	d := sentBy(t, c.Start(0, Memory{}))
	r := sentBy(t, c.Receive(0, reply(d, offer, "192.0.2.10")))
	c.Receive(0, reply(r, ack, "192.0.2.10"))
	m := sentBy(t, c.Decline(0))
	if m.MessageType() != dhcpv4.MessageTypeDecline || m.RequestedIPAddress().String() != "192.0.2.10" ||
		m.ServerIdentifier().String() != "192.0.2.1" || !m.ClientIPAddr.IsUnspecified() {
		t.Errorf("DECLINE %s", m.Summary())
	}
	at, _ := c.Wake()
	if at > 2*time.Second {
		t.Errorf("first pause %s", at)
	}
	d = sentBy(t, c.Tick(at))
	r = sentBy(t, c.Receive(at, reply(d, offer, "192.0.2.11")))
	c.Receive(at, reply(r, ack, "192.0.2.11"))
	c.Decline(at)
	if next, _ := c.Wake(); next < at+declineWait {
		t.Errorf("second pause %s", next-at)
	}
}

// TestAnotherAddressAtRenewal: the old address is kept until the new one is probed.
func TestAnotherAddressAtRenewal(t *testing.T) {
	t.Parallel()
	for _, conflict := range []bool{false, true} {
		c := boundAt(t, 0)
		r := sentBy(t, c.Tick(40*time.Second))
		got := c.Receive(40*time.Second, reply(r, ack, "192.0.2.20"))
		if len(got) != 1 || got[0].Kind != Obtained || got[0].Old.Address.Addr().String() != "192.0.2.10" {
			t.Fatalf("after the ACK: %+v", got)
		}
		want := "192.0.2.20"
		if conflict {
			want = "192.0.2.10"
			c.Decline(41 * time.Second)
		} else {
			c.Accept(41 * time.Second)
		}
		if c.Lease() == nil || c.Lease().Address.Addr().String() != want {
			t.Errorf("lease %+v, want %s", c.Lease(), want)
		}
		if conflict && c.State() != Rebinding {
			t.Errorf("state %s", c.State())
		}
	}
}

// TestSuspended wakes the client at times that a suspended machine skips.
func TestSuspended(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Duration]State{
		39 * time.Second: Bound, 41 * time.Second: Renewing, 71 * time.Second: Rebinding, 81 * time.Second: Selecting, 999 * time.Hour: Selecting,
	} {
		c := Resume4(newTest4().cfg, boundAt(t, 0).Lease()) // as a new process does
		out := c.Tick(at)
		if c.State() != want {
			t.Errorf("after %s: state %s, want %s", at, c.State(), want)
		}
		if lost := len(out) > 0 && out[0].Kind == Lost; lost != (want == Selecting) {
			t.Errorf("after %s: %+v", at, out)
		}
	}
}

func TestNAK(t *testing.T) {
	t.Parallel()
	c := boundAt(t, 0)
	r := sentBy(t, c.Tick(40*time.Second))
	other := with(54, 192, 0, 2, 9)
	if got := c.Receive(40*time.Second, reply(r, nak, "", other)); len(got) > 0 {
		t.Errorf("a NAK of another server while RENEWING: %+v", got)
	}
	got := c.Receive(40*time.Second, reply(r, nak, ""))
	if len(got) != 2 || got[0].Kind != Lost || c.Lease() != nil || sentBy(t, got).MessageType() != dhcpv4.MessageTypeDiscover {
		t.Errorf("after the NAK: %+v", got)
	}
}

func TestLinkUp(t *testing.T) {
	t.Parallel()
	c := boundAt(t, 0)
	r := sentBy(t, c.LinkUp(5*time.Second))
	if c.State() != Confirming || r.RequestedIPAddress().String() != "192.0.2.10" || !r.ClientIPAddr.IsUnspecified() || c.Lease() == nil {
		t.Errorf("REQUEST after the link was down %s", r.Summary())
	}
	for range reboots4 {
		at, _ := c.Wake()
		c.Tick(at)
	}
	if c.State() != Bound || c.Lease() == nil {
		t.Errorf("without an answer: state %s", c.State())
	}
}

// TestNAKOfAnotherServer: another server on the LAN refuses a broadcast REQUEST for an address that
// it does not lease. The lease's own server decides; the lease is lost only if it does not answer.
func TestNAKOfAnotherServer(t *testing.T) {
	t.Parallel()
	other := with(54, 198, 51, 100, 1)
	for name, ask := range map[string]func(*Client4) []Action{
		"the link was down": func(c *Client4) []Action { return c.LinkUp(10 * time.Second) },
		"after T2":          func(c *Client4) []Action { return c.Tick(71 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := boundAt(t, 0)
			r := sentBy(t, ask(c))
			if got := c.Receive(71*time.Second, reply(r, nak, "", other)); len(got) > 0 || c.Lease() == nil {
				t.Errorf("after the NAK: %+v", got)
			}
			if got := c.Receive(71*time.Second, reply(r, ack, "192.0.2.10")); len(got) != 1 || got[0].Kind != Renewed {
				t.Errorf("after the ACK of its server: %+v", got)
			}
			c = boundAt(t, 0) // its server is gone: this is another network
			r = sentBy(t, ask(c))
			c.Receive(71*time.Second, reply(r, nak, "", other))
			var got []Action
			for range reboots4 {
				if at, _ := c.Wake(); c.Lease() != nil {
					got = c.Tick(at)
				}
			}
			if len(got) != 2 || got[0].Kind != Lost || !strings.Contains(got[0].Reason, "198.51.100.1") || c.State() != Selecting {
				t.Errorf("without an answer: state %s, %+v", c.State(), got)
			}
		})
	}
}

// TestNAKOfAnotherServerAtReboot: the server of another subnet refuses the remembered address, before
// or after the lease's own server confirms it. If its own server is silent, the client starts again
// and still asks for the address.
func TestNAKOfAnotherServerAtReboot(t *testing.T) {
	t.Parallel()
	m := Memory{Address: netip.MustParseAddr("192.0.2.10"), Held: true, Server: testServer.From}
	other := with(54, 198, 51, 100, 1)
	c := newTest4()
	r := sentBy(t, c.Start(0, m))
	if got := c.Receive(0, reply(r, nak, "", other)); len(got) > 0 || c.State() != Rebooting {
		t.Errorf("after the NAK: state %s, %+v", c.State(), got)
	}
	if got := c.Receive(0, reply(r, ack, "192.0.2.10")); len(got) != 1 || got[0].Kind != Obtained {
		t.Errorf("after the ACK of its server: %+v", got)
	}
	c = newTest4()
	r = sentBy(t, c.Start(0, m))
	c.Receive(0, reply(r, nak, "", other))
	at, _ := c.Wake()
	d := sentBy(t, c.Tick(at))
	if d.MessageType() != dhcpv4.MessageTypeDiscover || d.RequestedIPAddress().String() != "192.0.2.10" {
		t.Errorf("without an answer of its server: %s", d.Summary())
	}
	c = newTest4()
	r = sentBy(t, c.Start(0, m))
	if d := sentBy(t, c.Receive(0, reply(r, nak, ""))); d.MessageType() != dhcpv4.MessageTypeDiscover || d.RequestedIPAddress() != nil {
		t.Errorf("after the NAK of its server: %s", d.Summary())
	}
}

// TestLostInTime: a lease that ends during a pause is lost at its end and not at the end of the pause.
func TestLostInTime(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]func(*Client4, time.Duration){
		"after a conflict": func(c *Client4, now time.Duration) {
			c.setbacks = 5 // earlier ones
			r := sentBy(t, c.Tick(now))
			c.Receive(now, reply(r, ack, "192.0.2.20"))
			c.Decline(now)
		},
		"after the link was down": func(c *Client4, now time.Duration) { c.LinkUp(now) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := boundAt(t, 0)
			ends, _ := c.Lease().Ends()
			pause(c, ends-100*time.Millisecond)
			at, ok := c.Wake()
			if !ok || at > ends {
				t.Errorf("it wakes at %s, and its lease ends at %s", at, ends)
			}
			if got := c.Tick(ends); len(got) == 0 || got[0].Kind != Lost {
				t.Errorf("at the end of the lease: %+v", got)
			}
		})
	}
}

func TestClientsBehindOneMACAskForBroadcast(t *testing.T) {
	t.Parallel()
	c := newTest4()
	c.cfg.Broadcast = true
	d := sentBy(t, c.Start(0, Memory{}))
	if d.Flags != 0x8000 || hex.EncodeToString(d.GetOneOption(dhcpv4.OptionClientIdentifier)) != "01020000000001" {
		t.Errorf("DISCOVER %s", d.Summary())
	}
}

// TestRetransmission: waits double from about a second to about a minute, with jitter.
func TestRetransmission(t *testing.T) {
	t.Parallel()
	c := newTest4()
	c.Start(0, Memory{})
	now, base := time.Duration(0), firstWait
	for range 10 {
		at, _ := c.Wake()
		if wait := at - now; wait < base*3/4 || wait > base*5/4 {
			t.Errorf("wait of %s, want about %s", wait, base)
		}
		now, base = at, min(2*base, longestWait4)
		if m := sentBy(t, c.Tick(now)); m.NumSeconds != uint16(now/time.Second) {
			t.Errorf("secs %d after %s", m.NumSeconds, now)
		}
	}
}
