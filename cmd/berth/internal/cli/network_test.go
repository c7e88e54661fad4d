package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"berth/internal/config"
	"berth/internal/state"
)

// withNetworks creates networks, by a command line each.
func (w *world) withNetworks(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		w.mustRun(strings.Fields("network create " + line)...)
	}
}

func TestNetworkLs(t *testing.T) {
	w := newWorld(t)
	const head = "NAME  DRIVER  MODE  PARENT  SUBNETS  CONTAINERS\n"
	mustEqual(t, "ls of nothing", head, w.mustRun("network", "ls"))
	mustEqual(t, "ls --json of nothing", "[]\n", w.mustRun("network", "ls", "--json"))
	w.withNetworks(
		"lan --subnet 192.0.2.0/24,2001:db8::/64 --gateway 192.0.2.1 -o parent=eth1.100",
		"bare -o parent=eth1 -o mode=passthru",
		"a-name-that-somebody-gave-without-much-thought-of-who-reads-it -d ipvlan --subnet 198.51.100.0/24 -o parent=eth1",
	)
	w.putRecord(1, func(*state.Attachment) {})
	w.putRecord(2, func(*state.Attachment) {})
	mustEqual(t, "ls", `
NAME                    DRIVER   MODE      PARENT    SUBNETS          CONTAINERS
a-name-that-somebody-…  ipvlan   l2        eth1      198.51.100.0/24  0
bare                    macvlan  passthru  eth1      -                0
lan                     macvlan  bridge    eth1.100  192.0.2.0/24     2
                                                     2001:db8::/64
`, w.mustRun("network", "ls"))
	mustEqual(t, "ls -q", `
a-name-that-somebody-gave-without-much-thought-of-who-reads-it
bare
lan
`, w.mustRun("network", "ls", "-q"))
	if got := w.mustRun("network", "list", "--no-trunc"); !strings.Contains(got, "who-reads-it  ipvlan") {
		t.Errorf("list --no-trunc shortens:\n%s", got)
	}
}

func TestNetworkLsBesideBroken(t *testing.T) {
	w := newWorld(t)
	w.withNetworks("lan --subnet 192.0.2.0/24 -o parent=eth1")
	path := config.NetworkFile(w.dir+"/etc", "broken")
	if err := os.WriteFile(path, []byte("parent = 7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code := w.runMain("network", "ls"); code != exitFailed || !strings.Contains(w.out.String(), "lan   macvlan") {
		t.Errorf("exit %d, printed\n%s", code, &w.out)
	}
	if !strings.HasPrefix(w.err.String(), "berth: "+path+": line 1: ") {
		t.Errorf("said %s", &w.err)
	}
}

func TestNetworkInspect(t *testing.T) {
	w := newWorld(t)
	w.withNetworks("lan --subnet 192.0.2.0/24 --gateway 192.0.2.1 --ip-range 192.0.2.64/26 --aux-address 192.0.2.70 -o parent=eth1")
	w.putRecord(1, func(*state.Attachment) {})
	const want = `
[
  {
    "name": "lan",
    "driver": "macvlan",
    "parent": "eth1",
    "mode": "bridge",
    "mtu": 0,
    "mac": "random",
    "default_route": true,
    "ipam": "local",
    "conflict_timeout": "100ms",
    "ipv6": "off",
    "subnet": [
      {
        "subnet": "192.0.2.0/24",
        "gateway": "192.0.2.1",
        "ip_range": "192.0.2.64/26",
        "exclude": [
          "192.0.2.70"
        ]
      }
    ],
    "containers": [
      {
        "container_id": "web",
        "interface": "net1",
        "mac": "02:00:5e:00:53:01",
        "addresses": [
          "192.0.2.65/24"
        ],
        "phase": "attached"
      }
    ]
  }
]
`
	mustEqual(t, "inspect", want, w.mustRun("network", "inspect", "lan"))
	mustEqual(t, "inspect --json", want, w.mustRun("network", "inspect", "--json", "lan"))
	mustEqual(t, "ls --json", want, w.mustRun("network", "ls", "--json"))
	if code := w.runMain("network", "inspect", "lam", "lan"); code != exitFailed {
		t.Errorf("one of two unknown: exit %d", code)
	}
	mustEqual(t, "inspect of one of two", want, w.out.String())
	if !strings.HasPrefix(w.err.String(), `berth: network "lam": there is no such network in `+w.dir+`/etc/networks.d, which has lan`) {
		t.Errorf("said %s", &w.err)
	}
	if w.runMain("network", "inspect", "lam"); !json.Valid(w.out.Bytes()) {
		t.Errorf("what is printed beside an error is no JSON: %q", &w.out)
	}
}

func TestNetworkRm(t *testing.T) {
	w := newWorld(t)
	w.withNetworks("lan -o parent=eth1 --ipam-driver none", "dmz -o parent=eth1 --ipam-driver none")
	for i := range uint64(10) {
		w.putRecord(i+1, func(*state.Attachment) {})
	}
	w.mustFail(exitFailed, `berth: network "lan" is in use by web (192.0.2.65), `, "network", "rm", "lan")
	w.mustFail(exitFailed, `, and 2 more; stop them first`, "network", "rm", "lan")
	w.mustFail(exitFailed, `berth: network "lam": there is no such network in`, "network", "rm", "lam")
	mustEqual(t, "rm -f of none", "", w.mustRun("network", "rm", "-f", "lam"))
	for _, c := range []struct{ names, want string }{
		{"dmz lan", `network "lan" is in use by`}, {"lan dmz", `network "lan" is in use by`},
		{"dmz lam", `network "lam": there is no such network in`}, {"lam dmz", `network "lam": there is no such network in`},
		{"-f lam dmz lan", `network "lan" is in use by`},
	} {
		w.mustFail(exitFailed, c.want, append([]string{"network", "rm"}, strings.Fields(c.names)...)...)
		mustEqual(t, "removed by rm "+c.names, "", w.out.String())
		if !strings.HasSuffix(w.err.String(), "berth: no network was removed\n") {
			t.Errorf("rm %s: %s", c.names, &w.err)
		}
		mustEqual(t, "networks after rm "+c.names, "dmz\nlan\n", w.mustRun("network", "ls", "-q"))
	}
	mustEqual(t, "rm", "dmz\n", w.mustRun("network", "rm", "dmz", "dmz"))
	mustEqual(t, "networks left", "lan\n", w.mustRun("network", "ls", "-q"))
	w.mustFail(exitUsage, `berth network rm: the network's NAME is missing`, "network", "rm")
}

// TestNetworkRmNamesUsers requires the users' names from the agent, in their order.
func TestNetworkRmNamesUsers(t *testing.T) {
	w := newWorld(t)
	w.withNetworks("lan -o parent=eth1 --ipam-driver none")
	w.startAgent(&backend{names: sampleEndpoints()})
	w.putRecord(1, func(a *state.Attachment) { a.Containers = []string{"zoo"} })
	w.putRecord(2, func(a *state.Attachment) { a.Containers = []string{hexA} })
	w.putRecord(3, func(a *state.Attachment) { a.Containers, a.Addresses = []string{"db"}, nil })
	w.mustFail(exitFailed, `network "lan" is in use by db, web (192.0.2.65), zoo (192.0.2.65); stop them first`, "network", "rm", "lan")
}

// TestBrokenNetworkFile requires the name of an unusable file.
func TestBrokenNetworkFile(t *testing.T) {
	w := newWorld(t)
	w.writeFile("etc/networks.d/bad.toml", "parent = 7\n")
	w.runMain("network", "inspect", "bad")
	if want := "berth: " + w.dir + "/etc/networks.d/bad.toml: line 1"; !strings.HasPrefix(w.err.String(), want) {
		t.Errorf("said %swant %s", &w.err, want)
	}
}

func TestCompleteArguments(t *testing.T) {
	w := newWorld(t)
	w.withNetworks("lan -o parent=eth1", "dmz -o parent=eth1")
	w.putRecord(1, func(*state.Attachment) {})
	w.putRecord(2, func(a *state.Attachment) { a.Containers = []string{hexA} })
	const noFiles = ":4\n"
	mustEqual(t, "networks", "dmz\nlan\n"+noFiles, w.mustRun("__complete", "network", "rm", ""))
	mustEqual(t, "further networks", "dmz\n"+noFiles, w.mustRun("__complete", "network", "inspect", "lan", ""))
	mustEqual(t, "containers", "3f2a91c04b7e\nweb\n"+noFiles, w.mustRun("__complete", "inspect", ""))
	mustEqual(t, "kinds", strings.ReplaceAll(kindNames(), ", ", "\n")+"\n"+noFiles, w.mustRun("__complete", "events", "--kind", ""))
}
