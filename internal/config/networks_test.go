package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"berth/specs"
)

func lanNetwork(name string) *specs.Network {
	return &specs.Network{
		Name: name, Parent: "eth1.100",
		Subnets: []specs.Subnet{{
			Subnet:  netip.MustParsePrefix("192.0.2.0/24"),
			Gateway: netip.MustParseAddr("192.0.2.1"),
			IPRange: netip.MustParsePrefix("192.0.2.64/26"),
			Exclude: []specs.Exclusion{specs.ExcludeAddr(netip.MustParseAddr("192.0.2.70"))},
		}},
	}
}

func TestSaveAndRead(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, lanNetwork("lan")); err != nil {
		t.Fatal(err)
	}
	want := lanNetwork("lan")
	want.SetDefaults()
	got, err := Network(dir, "lan")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(NetworkFile(dir, "lan"))
	if err != nil {
		t.Fatal(err)
	}
	const file = `driver = 'macvlan'
parent = 'eth1.100'
mode = 'bridge'
ipam = 'local'
ipv6 = 'off'

[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
ip_range = '192.0.2.64/26'
exclude = ['192.0.2.70']
`
	if diff := cmp.Diff(file, string(text)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	info, err := os.Stat(NetworkFile(dir, "lan"))
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v (%v), want 0644", info.Mode(), err)
	}
}

func TestSaveRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, lanNetwork("lan")); err != nil {
		t.Fatal(err)
	}
	err := Save(dir, lanNetwork("lan"))
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), NetworkFile(dir, "lan")) {
		t.Errorf("a second network of the name: %v, want fs.ErrExist with the path", err)
	}
	bad := lanNetwork("bad")
	bad.Subnets[0].Gateway = netip.MustParseAddr("192.0.2.255")
	if err := Save(dir, bad); err == nil {
		t.Error("a gateway that is the broadcast address was written")
	}
	if err := Save(dir, lanNetwork("../lan")); err == nil {
		t.Error("a name with a path was written")
	}
	assertFiles(t, dir, "lan.toml")
}

// Of many concurrent writers exactly one makes the network, and no temporary file remains.
func TestSaveAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = Save(dir, lanNetwork("lan")) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, fs.ErrExist):
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d calls made the network, want 1", made)
	}
	assertFiles(t, dir, "lan.toml")
}

func TestUnknownNetwork(t *testing.T) {
	dir := t.TempDir()
	_, err := Network(dir, "lan")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "which has none; create it") {
		t.Errorf("no networks: %v", err)
	}
	for _, name := range []string{"dmz", "a", "a-b"} {
		if err := Save(dir, lanNetwork(name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = Network(dir, "lan")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "which has a, a-b, dmz") {
		t.Errorf("want the names there are: %v", err)
	}
	if err := Remove(dir, "lan"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove: %v, want fs.ErrNotExist", err)
	}
	var bad *specs.ValueError
	if _, err := Network(dir, "../berth"); !errors.As(err, &bad) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path as a name: %v, want a ValueError about the name", err)
	}
	if err := Remove(dir, "../berth"); !errors.As(err, &bad) {
		t.Errorf("remove of a path: %v, want a ValueError about the name", err)
	}
}

func TestManyNetworksAreNotAllNamed(t *testing.T) {
	dir := t.TempDir()
	for _, c := range "abcdefghijkl" {
		writeText(t, NetworkFile(dir, string(c)), "")
	}
	_, err := Network(dir, "lan")
	if err == nil || !strings.Contains(err.Error(), "i, j and 2 more") {
		t.Errorf("error %v, want ten names and the number of the others", err)
	}
}

func TestNetworksBesideBrokenOnes(t *testing.T) {
	dir := t.TempDir()
	if all, errs := Networks(dir); all != nil || errs != nil {
		t.Errorf("no directory: %v, %v", all, errs)
	}
	for _, name := range []string{"lan", "dmz"} {
		if err := Save(dir, lanNetwork(name)); err != nil {
			t.Fatal(err)
		}
	}
	broken := []string{NetworkFile(dir, "-x"), NetworkFile(dir, "broken")}
	writeText(t, broken[0], "parent = \"eth1\"\n")
	writeText(t, broken[1], "parents = \"eth1\"\n")
	writeText(t, NetworksDir(dir)+"/README", "not a network\n")
	writeText(t, NetworksDir(dir)+"/.lan.toml.swp", "not a network\n")
	all, errs := Networks(dir)
	if len(all) != 2 || all[0].Name != "dmz" || all[1].Name != "lan" {
		t.Errorf("networks %v, want dmz and lan", all)
	}
	if len(errs) != len(broken) {
		t.Fatalf("errors %v, want one a broken file", errs)
	}
	for i, path := range broken {
		if !strings.HasPrefix(errs[i].Error(), path) {
			t.Errorf("error %v, want one that begins with %q", errs[i], path)
		}
	}
	if err := Remove(dir, "broken"); err != nil {
		t.Errorf("a file that does not parse cannot be removed: %v", err)
	}
}

func assertFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(NetworksDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
