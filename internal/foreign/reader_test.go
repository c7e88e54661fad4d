package foreign

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// world has directories for the files of other programs.
type world struct {
	*testing.T
	places Places
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	return &world{t, Places{Docker: filepath.Join(dir, "docker"), Podman: filepath.Join(dir, "ipam.db"), CNI: filepath.Join(dir, "cni"),
		Libvirt: filepath.Join(dir, "libvirt")}}
}

// write writes a file that is old enough to be kept.
func (w *world) write(path, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	w.age(path, time.Hour)
}

func (w *world) age(path string, by time.Duration) {
	w.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(path, at, at); err != nil {
		w.Fatal(err)
	}
}

func (w *world) requireHoldings(r *Reader, want ...Holding) {
	w.Helper()
	got, err := r.ReadHoldings()
	if err != nil {
		w.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		w.Errorf("holdings (-want +got):\n%s", d)
	}
}

// dockerFile is the file of a container on two networks, as dockerd writes it.
const dockerFile = `{"ID":%q,"Name":"/web","NetworkSettings":{"SandboxID":"1f","Networks":{"lan":{"IPAMConfig":{"IPv4Address":"192.0.2.65"},
"Aliases":null,"NetworkID":"9c","EndpointID":"4d","Gateway":"192.0.2.1","IPAddress":"192.0.2.65","IPPrefixLen":24,"IPv6Gateway":"",
"GlobalIPv6Address":"2001:db8::41","GlobalIPv6PrefixLen":64,"MacAddress":"02:42:c0:00:02:41","DriverOpts":null,"IPAMOperational":false},
"off":{"IPAMConfig":{},"IPAddress":"","MacAddress":""},"null":null}}}`

func (w *world) dockerPath(under, id string) string {
	return filepath.Join(w.places.Docker, under, "containers", id, "config.v2.json")
}

func TestDockersHoldings(t *testing.T) {
	w := newWorld(t)
	r := NewReader(w.places)
	w.requireHoldings(r)
	web := Holding{Network: dockerLAN, NetworkID: "9c", Container: webID, MAC: webMAC, Addresses: addresses("192.0.2.65", "2001:db8::41")}
	w.write(w.dockerPath("", webID), fmt.Sprintf(dockerFile, webID))
	w.requireHoldings(r, web)
	w.write(w.dockerPath("100000.100000", dbID), `{"ID":"`+dbID+`","NetworkSettings":{"Networks":{"lan":{"IPAMConfig":{"IPv4Address":"192.0.2.66"},"IPAddress":""}}}}`)
	w.requireHoldings(r, web, Holding{Network: dockerLAN, Container: dbID, Addresses: addresses("192.0.2.66")})
	if err := os.RemoveAll(filepath.Dir(w.dockerPath("", webID))); err != nil {
		t.Fatal(err)
	}
	w.requireHoldings(r, Holding{Network: dockerLAN, Container: dbID, Addresses: addresses("192.0.2.66")})
}

// TestFilesAreReadAgain keeps the holdings of a file as long as it has not changed, and reports
// a damaged one unless it may be half written.
func TestFilesAreReadAgain(t *testing.T) {
	w := newWorld(t)
	r := NewReader(w.places)
	path := w.dockerPath("", webID)
	w.write(path, fmt.Sprintf(dockerFile, webID))
	web := Holding{Network: dockerLAN, NetworkID: "9c", Container: webID, MAC: webMAC, Addresses: addresses("192.0.2.65", "2001:db8::41")}
	w.requireHoldings(r, web)
	w.write(path, strings.Repeat(" ", len(fmt.Sprintf(dockerFile, webID)))) // of the same size and time
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := r.kept[path]
	kept.changed = info.ModTime()
	r.kept[path] = kept
	w.requireHoldings(r, web)
	w.age(path, 0)
	w.requireHoldings(r)
	w.age(path, time.Minute)
	if _, err := r.ReadHoldings(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file", err)
	}
}

// writePodman writes podman's database with a network, a subnet, and the containers of
// addresses.
func (w *world) writePodman(held map[string]string) {
	w.Helper()
	db, err := bbolt.Open(w.places.Podman, 0o600, nil)
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		network, err := tx.CreateBucketIfNotExists([]byte("lan"))
		if err != nil {
			return err
		}
		subnet, err := network.CreateBucketIfNotExists([]byte("192.0.2.0/24"))
		if err != nil {
			return err
		}
		ids, err := network.CreateBucketIfNotExists([]byte("ids"))
		if err != nil {
			return err
		}
		for address, id := range held {
			if err := subnet.Put(netip.MustParseAddr(address).AsSlice(), []byte(id)); err != nil {
				return err
			}
			if err := ids.Put([]byte(id), []byte(`["`+address+`"]`)); err != nil {
				return err
			}
		}
		return subnet.Put([]byte("lastIP"), []byte{192, 0, 2, 66})
	})
	if err != nil {
		w.Fatal(err)
	}
}

func TestPodmansHoldings(t *testing.T) {
	w := newWorld(t)
	r := NewReader(w.places)
	w.writePodman(map[string]string{"192.0.2.65": webID})
	lan := specs.EngineNetwork{Engine: specs.EnginePodman, Name: "lan"}
	w.requireHoldings(r, Holding{Network: lan, Container: webID, Addresses: addresses("192.0.2.65")})
	w.writePodman(map[string]string{"192.0.2.66": dbID})
	w.requireHoldings(r, Holding{Network: lan, Container: webID, Addresses: addresses("192.0.2.65")},
		Holding{Network: lan, Container: dbID, Addresses: addresses("192.0.2.66")})
	w.write(w.places.Podman, strings.Repeat("no database", 5000))
	if all, err := r.ReadHoldings(); err == nil || len(all) > 0 {
		t.Errorf("a damaged database: %v, %v, want an error", all, err)
	}
}

// cached is a file of libcni's cache.
const cached = `{"kind":"cniCacheV1","containerId":%q,"config":%q,"ifName":%q,"networkName":%q,"netns":"/run/netns/x",
"result":{"cniVersion":"1.0.0","interfaces":[{"mac":"02:42:c0:00:02:41","name":"eth0","sandbox":"/run/netns/x"},{"mac":"02:00:00:00:00:01","name":"cni0"}],
"ips":[{"address":"192.0.2.65/24","gateway":"192.0.2.1","interface":0}],"dns":{}}}`

func TestCNIsHoldings(t *testing.T) {
	w := newWorld(t)
	r := NewReader(w.places)
	config := func(plugin string) string {
		return base64.StdEncoding.EncodeToString([]byte(`{"name":"lan","plugins":[{"type":"` + plugin + `"}]}`))
	}
	results := filepath.Join(w.places.CNI, "results")
	w.write(filepath.Join(results, "lan-"+webID+"-eth0"), fmt.Sprintf(cached, webID, config("macvlan"), "eth0", "lan"))
	w.write(filepath.Join(results, "multus-"+webID+"-eth0"), fmt.Sprintf(cached, webID, config("multus-shim"), "eth0", "multus"))
	w.write(filepath.Join(results, "old"), `{"cniVersion":"0.2.0"}`)
	given := filepath.Join(w.places.CNI, "networks", "lan")
	w.write(filepath.Join(given, "192.0.2.66"), dbID+"\r\nnet1")
	w.write(filepath.Join(given, "2001:db8::42"), dbID)
	w.write(filepath.Join(given, "last_reserved_ip.0"), "192.0.2.66")
	w.write(filepath.Join(given, "lock"), "")
	lan := specs.EngineNetwork{Engine: specs.EngineCNI, Name: "lan"}
	w.requireHoldings(r, Holding{Network: lan, Container: webID, Interface: "eth0", MAC: webMAC, Addresses: addresses("192.0.2.65")},
		Holding{Network: lan, Container: dbID, Interface: "net1", Addresses: addresses("192.0.2.66")},
		Holding{Network: lan, Container: dbID, Addresses: addresses("2001:db8::42")})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(dockerFile, webID)))
	f.Add([]byte(fmt.Sprintf(cached, webID, "", "eth0", "lan")))
	f.Add([]byte(domain))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) ([]Holding, error){parseDocker, parseResult, parseLibvirt} {
			all, err := parse(data)
			if err != nil && len(all) > 0 {
				t.Errorf("%d holdings with the error %v", len(all), err)
			}
			for _, h := range all {
				for _, a := range h.Addresses {
					if !a.IsValid() || a.IsUnspecified() || a.Is4In6() {
						t.Errorf("address %v", a)
					}
				}
			}
		}
	})
}

// domain is the file of a running domain of libvirt, shortened.
const domain = `<!-- WARNING: THIS IS AN AUTO-GENERATED FILE. -->
<domstatus state='running' reason='booted' pid='78'><domain type='qemu' id='1'><name>web</name><devices>
<interface type='direct'><mac address='52:54:00:00:53:01'/><source dev='eth1' mode='bridge'/><target dev='macvtap0'/></interface>
<interface type='network'><mac address='52:54:00:00:53:02'/><source network='lan' portid='7f5c'/>
<actual type='direct'><source dev='eth1' mode='bridge'/></actual><target dev='macvtap1'/></interface>
<input type='mouse' bus='ps2'/></devices></domain></domstatus>`

func TestLibvirtsHoldings(t *testing.T) {
	w := newWorld(t)
	r := NewReader(w.places)
	w.write(filepath.Join(w.places.Libvirt, "qemu", "web.xml"), domain)
	w.write(filepath.Join(w.places.Libvirt, "lxc", "db.xml"), strings.ReplaceAll(domain, "53:02", "53:03"))
	lan := specs.EngineNetwork{Engine: specs.EngineLibvirt, Name: "lan"}
	w.requireHoldings(r, Holding{Network: lan, MAC: specs.MAC{0x52, 0x54, 0, 0, 0x53, 2}}, Holding{Network: lan, MAC: specs.MAC{0x52, 0x54, 0, 0, 0x53, 3}})
}

// A FIFO in the place of another program's file would block the reader for ever.
func TestFIFOsAreNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(filepath.Join(w.places.CNI, "results", "a-lan-eth0"), "x")
	for _, path := range []string{filepath.Join(w.places.CNI, "results", "b-lan-eth0"), w.places.Podman,
		filepath.Join(w.places.Docker, "containers", strings.Repeat("c", 64), "config.v2.json")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := NewReader(w.places).ReadHoldings()
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error %v, want one about a FIFO", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the reader blocks")
	}
}
