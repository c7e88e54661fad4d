package cli

import (
	"strings"
	"testing"
	"time"

	"berth/specs"
)

func TestLeaseTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	lease := func(left time.Duration) *specs.DHCPLease {
		return &specs.DHCPLease{Address: mustPrefix("192.0.2.7/24"), Server: mustAddr("192.0.2.1"), Expires: new(now.Add(left)),
			DNS: nil, Domain: "example.net", Hostname: "web", ClientID: "01"}
	}
	clock := func() time.Time { return now }
	forever := lease(0)
	forever.Expires = nil
	for want, d := range map[string]specs.DHCPStatus{
		"dhcp, 11h left":                    {Family: "ipv4", Lease: lease(11 * time.Hour)},
		"dhcpv6, 11h left":                  {Family: "ipv6", Lease: lease(11 * time.Hour)},
		"dhcp, without end":                 {Family: "ipv4", Lease: forever},
		"dhcp, ended 5s ago":                {Family: "ipv4", Lease: lease(-5 * time.Second)},
		"dhcp, lease lost: the lease ended": {Family: "ipv4", Lost: "the lease ended"},
		"dhcpv6, no address":                {Family: "ipv6"},
	} {
		e := &specs.Endpoint{Phase: specs.PhaseAttached, DHCP: []specs.DHCPStatus{d}}
		if got := leaseTexts(e, clock); len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
		if e.Phase = specs.PhaseEnded; len(leaseTexts(e, clock)) > 0 {
			t.Error("an ended interface has a lease")
		}
	}
	var out strings.Builder
	describeLease(&out, lease(time.Hour), now)
	for _, want := range []string{"lease", "192.0.2.7/24", "until 2026-01-02 13:00:00 UTC", "server", "192.0.2.1", "hostname", "example.net"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	describeOptions(&out, &specs.DHCPOptions{Server: mustAddr("fe80::1"), Search: []string{"example.net"}})
	if text := out.String(); !strings.Contains(text, "fe80::1") || !strings.Contains(text, "example.net") || strings.Contains(text, "DNS") {
		t.Error(text)
	}
	describeOptions(&out, nil)
	if describeLease(&out, nil, now); strings.Contains(out.String(), "nil") {
		t.Error(out.String())
	}
}
