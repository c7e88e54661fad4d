package check

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/specs"
)

// sampleOf returns the output that a page shows for a command.
func sampleOf(t *testing.T, page, command string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, sample, found := strings.Cut(string(text), "\n# "+command+"\n")
	if !found {
		t.Fatalf("docs/%s has no command %q", page, command)
	}
	end := strings.Index(sample, "\n```")
	if next := strings.Index(sample, "\n# "); next >= 0 && next < end {
		end = next
	}
	return sample[:end+1]
}

// requireSample requires that the output of a command is the sample of a page, in which a
// line "…" stands for any lines.
func requireSample(t *testing.T, page, command, output string) {
	t.Helper()
	rest := output
	var parts []string
	for line := range strings.Lines(sampleOf(t, page, command)) {
		if strings.TrimSpace(line) == "…" {
			parts = append(parts, "")
		} else if len(parts) == 0 {
			parts = append(parts, line)
		} else {
			parts[len(parts)-1] += line
		}
	}
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("docs/%s: the output of %q does not have\n%s\nbut is\n%s", page, command, part, output)
		}
		rest = after
	}
	if !strings.HasSuffix(output, parts[len(parts)-1]) {
		t.Errorf("docs/%s: the output of %q has more than the sample:\n%s", page, command, rest)
	}
}

// written returns lines as the command prints them.
func written(t *testing.T, lines []Line) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, lines, 80); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sampleLAN is the network lan of the pages.
func sampleLAN() Network {
	n := goodNetwork()
	n.Subnets, n.MTU = n.Subnets[:1], 0
	n.Others, n.Held = nil, n.Held[:1]
	return n
}

// TestPagesShowReports requires that the pages' examples of berth check are reports on such
// hosts.
func TestPagesShowReports(t *testing.T) {
	unplugged, vmware, offered := goodParent(), goodParent(), sampleLAN()
	unplugged.Found.Carrier, vmware.Found.Carrier = false, false
	vmware.useDriver("vmxnet3")
	vmware.Networks = nil
	lease := &dhcp.Lease{DHCPLease: specs.DHCPLease{Address: netip.MustParsePrefix("192.0.2.104/24")}}
	offered.Name = "leased"
	offered.DHCP = DHCP{Asked: true, Offers: []exchange.Offer{{Server: "192.0.2.1 (02:00:5e:00:53:fe)", Lease: lease}}}
	host := reportOn("host", func(r *report, k Kernel) { judgeKernel(r, k, map[string]string{"macvlan": "network lan"}) })
	for _, c := range []struct {
		page, command string
		lines         [][]Line
	}{
		{"commands.md", "berth check lan", [][]Line{
			host(goodKernel()), judgeParent(unplugged.Parent, unplugged.DMI, unplugged.Networks), judgeNetwork(sampleLAN()),
		}},
		{"checks.md", "berth check eth1", [][]Line{judgeParent(vmware.Parent, vmware.DMI, vmware.Networks)}},
		{"dhcp.md", "berth check leased", [][]Line{judgeParent(goodParent().Parent, DMI{}, nil), judgeNetwork(offered)}},
	} {
		var all []Line
		for _, lines := range c.lines {
			all = append(all, lines...)
		}
		requireSample(t, c.page, c.command, written(t, all))
	}
}

// TestPageShowsAttached requires that the example of check --attached in docs/commands.md is
// a golden report.
func TestPageShowsAttached(t *testing.T) {
	golden, err := os.ReadFile("testdata/attached.golden")
	if err != nil {
		t.Fatal(err)
	}
	_, report, _ := strings.Cut(string(golden), "== another MAC\n")
	report, _, _ = strings.Cut(report, "== ")
	requireSample(t, "commands.md", "berth check --attached web", report)
}
