package observe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/network"
	"berth/specs"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// site is a host with the parent eth1, and a finder and a scanner of its namespaces.
type site struct {
	testing.TB
	host       *testnet.NS
	handle     *network.Handle
	scanner    *Scanner
	namespaces *Namespaces
}

func newSite(t testing.TB) *site {
	t.Helper()
	testnet.Need(t, testnet.Root, testnet.Macvlan)
	s := &site{TB: t, host: testnet.Namespace(t)}
	testnet.Veth(t, "eth1", s.host, "wire", testnet.Namespace(t))
	var err error
	testnet.In(t, s.host, func() { s.handle, err = network.NewStrictHandle() })
	s.must(err)
	t.Cleanup(s.handle.Close)
	s.scanner, err = NewScanner(s.handle)
	s.must(err)
	s.namespaces = NewNamespaces(s.handle)
	s.assignAll()
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) assignAll() {
	s.Helper()
	_, err := s.namespaces.AssignAll(time.Now())
	s.must(err)
}

func (s *site) ip(args ...string) {
	s.Helper()
	testnet.Run(s, s.host, "ip", args...)
}

// named makes a namespace as `ip netns add` does, and returns its name.
func (s *site) named() string {
	s.Helper()
	name := strings.ToLower(fmt.Sprintf("%s-%d", filepath.Base(s.Name()), time.Now().UnixNano()))
	s.ip("netns", "add", name)
	s.Cleanup(func() {
		path := "/run/netns/" + name
		if err := errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path)); err != nil {
			s.Error(err)
		}
	})
	return name
}

// texts scans everything and returns the interfaces in short.
func (s *site) texts() []string {
	s.Helper()
	s.must(s.scanner.ScanAll())
	return s.known()
}

// known returns the interfaces as read last in short.
func (s *site) known() []string {
	all := []string{}
	for _, i := range s.scanner.Interfaces() {
		kind := string(i.Link.Driver)
		if i.Link.Tap {
			kind = strings.Replace(kind, "vlan", "vtap", 1)
		}
		all = append(all, fmt.Sprintf("%s %s %s up=%t %v", i.Link.Name, kind, i.Link.Mode, i.Link.Up, i.Addresses))
	}
	slices.Sort(all)
	return all
}

func (s *site) requireFound(want ...string) {
	s.Helper()
	if got := s.texts(); !slices.Equal(got, want) {
		s.Errorf("interfaces %q, want %q", got, want)
	}
}

func TestInterfacesInAllNamespacesAreFound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.requireFound()
	name := s.named()
	process := testnet.Process(t, testnet.Namespace(t))
	s.ip("link", "add", "mvhost", "link", "eth1", "type", "macvlan", "mode", "private")
	s.ip("link", "add", "mvnamed", "link", "eth1", "netns", name, "type", "macvlan", "mode", "bridge")
	s.ip("link", "add", "mvproc", "link", "eth1", "netns", fmt.Sprint(process.Pid), "type", "macvlan", "mode", "vepa")
	s.ip("-n", name, "link", "set", "mvnamed", "up")
	s.ip("-n", name, "addr", "add", "192.0.2.9/24", "dev", "mvnamed")
	fresh, err := s.namespaces.AssignNew(time.Now())
	s.must(err)
	if len(fresh) < 2 {
		t.Errorf("%d namespaces got an id, want those with the two interfaces", len(fresh))
	}
	s.requireFound("mvhost macvlan private up=false []", "mvnamed macvlan bridge up=true [192.0.2.9/24]", "mvproc macvlan vepa up=false []")
	s.ip("-n", name, "link", "set", "mvnamed", "down")
	s.ip("-n", name, "link", "set", "mvnamed", "name", "other", "address", "02:00:5e:00:53:07")
	s.ip("-n", name, "link", "set", "other", "type", "macvlan", "mode", "private")
	s.requireFound("mvhost macvlan private up=false []", "mvproc macvlan vepa up=false []", "other macvlan private up=false [192.0.2.9/24]")
	for _, i := range s.scanner.Interfaces() {
		if want := (specs.MAC{2, 0, 0x5e, 0, 0x53, 7}); i.Link.Name == "other" && i.Link.MAC != want {
			t.Errorf("MAC %s, want %s", i.Link.MAC, want)
		}
	}
}

func TestInterfacesOfOtherHostsAreLeftOut(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	process := testnet.Process(t, testnet.Namespace(t))
	other.ip("link", "add", "mv0", "link", "eth1", "netns", fmt.Sprint(process.Pid), "type", "macvlan", "mode", "bridge")
	s.assignAll()
	s.requireFound()
	other.assignAll()
	other.requireFound("mv0 macvlan bridge up=false []")
}

func TestIPvlanIsFound(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	s := newSite(t)
	s.ip("link", "add", "iv0", "link", "eth1", "type", "ipvlan", "mode", "l3")
	s.requireFound("iv0 ipvlan l3 up=false []")
}

func TestMacvtapIsFound(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvtap)
	s := newSite(t)
	s.ip("link", "add", "mt0", "link", "eth1", "type", "macvtap", "mode", "bridge")
	s.requireFound("mt0 macvtap bridge up=false []")
}

// TestNamespacesThatVanish ends namespaces while they are inspected: it is no error.
func TestNamespacesThatVanish(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 100 {
			testnet.Run(t, s.host, "unshare", "--net", "true")
		}
	}()
	for {
		_, err := s.namespaces.AssignNew(time.Now())
		s.must(err)
		s.must(s.scanner.ScanAll())
		select {
		case <-ended:
			return
		default:
		}
	}
}

func TestHolders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	name := s.named()
	ns := testnet.Namespace(t)
	process, later := testnet.Process(t, ns), testnet.Process(t, ns)
	s.assignAll()
	ofProcess, _, err := s.handle.AssignNSIDOfProcess(process.Pid)
	s.must(err)
	ofFile, _, err := s.handle.AssignNSIDOfFile("/run/netns/" + name)
	s.must(err)
	got := FindHolders(s.handle, map[int]int{ofProcess: 0, ofFile: 0, 1 << 20: 0})
	if h := got[ofProcess]; h.PID != process.Pid || h.Name != "sleep" {
		t.Errorf("holder %+v, want process %d", h, process.Pid)
	}
	if h := got[ofFile]; h != (Holder{Name: name}) {
		t.Errorf("holder %+v, want file %q", h, name)
	}
	if len(got) != 2 {
		t.Errorf("%d holders, want 2", len(got))
	}
	if h := FindHolders(s.handle, map[int]int{ofProcess: later.Pid})[ofProcess]; h.PID != later.Pid {
		t.Errorf("holder %+v, want the known process %d", h, later.Pid)
	}
	guest := exec.Command("nsenter", "--net=/run/netns/"+name, "sleep", "600")
	s.must(guest.Start())
	t.Cleanup(func() {
		_ = guest.Process.Kill()
		_ = guest.Wait() // it was killed
	})
	testnet.Eventually(t, "a process in the named namespace", func() bool {
		id, _, err := s.handle.AssignNSIDOfProcess(guest.Process.Pid)
		return err == nil && id == ofFile
	})
	if h := FindHolders(s.handle, map[int]int{ofFile: 0})[ofFile]; h != (Holder{Name: name}) {
		t.Errorf("with a guest: holder %+v, want file %q", h, name)
	}
}

// startQEMU starts a process in a namespace with a command line of QEMU's.
func (s *site) startQEMU(ns *testnet.NS, name string, mac specs.MAC) *os.Process {
	s.Helper()
	cmd := exec.Command("sh")
	cmd.Args = []string{"qemu-system-x86_64", "-c", "read line; :", "-name", "guest=" + name, "-device", "virtio-net-pci,mac=" + mac.String()}
	stdin, err := cmd.StdinPipe()
	s.must(err)
	testnet.In(s, ns, func() { err = cmd.Start() })
	s.must(err)
	s.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // without a line it ends with an error
	})
	return cmd.Process
}

// TestGuests finds the virtual machine behind a macvtap interface of the host by its network card's
// MAC. A process in a container's namespace is none.
func TestGuests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	of := func(n byte) specs.MAC { return specs.MAC{0x52, 0x54, 0, 0, 0x53, n} }
	web := s.startQEMU(s.host, "web", of(1))
	elsewhere := testnet.Namespace(t)
	other := s.startQEMU(elsewhere, "other", of(2))
	var got map[specs.MAC]Holder
	testnet.Eventually(t, "the virtual machine", func() bool { // its command line is its own after its start
		got = FindGuests(s.handle, map[specs.MAC]bool{of(1): true, of(2): true, of(3): true})
		return len(got) > 0
	})
	if want := (Holder{PID: web.Pid, Machine: "vm:web", Name: "web"}); len(got) != 1 || got[of(1)] != want {
		t.Errorf("guests %+v, want only %+v", got, want)
	}
	id, _, err := s.handle.AssignNSIDOfProcess(other.Pid)
	s.must(err)
	want := Holder{PID: other.Pid, Machine: "vm:other", Name: "other"}
	testnet.Eventually(t, "the holder of the other namespace", func() bool { return FindHolders(s.handle, map[int]int{id: 0})[id] == want })
}

// TestMountedNamespacesAreNoticed mounts a namespace while no process is young: it gets an ID, and
// after that the mounts are not inspected again until they change.
func TestMountedNamespacesAreNoticed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := new(mountWatch)
	w.hasChanged()
	name := s.named()
	testnet.Eventually(t, "a change of the mounts", w.hasChanged)
	id, _, err := s.handle.AssignNSIDOfFile("/run/netns/" + name)
	s.must(err)
	ids, err := s.handle.NSIDs()
	s.must(err)
	if !slices.Contains(ids, id) {
		t.Errorf("namespace %q has the ID %d, which is none of %v", name, id, ids)
	}
	later := s.named()
	testnet.Eventually(t, "an ID of the later one", func() bool {
		clear(s.namespaces.young)
		fresh, err := s.namespaces.AssignNew(time.Now().Add(2 * youth))
		s.must(err)
		if len(fresh) == 0 {
			return false
		}
		id, isFresh, err := s.handle.AssignNSIDOfFile("/run/netns/" + later)
		return err == nil && !isFresh && slices.Contains(fresh, id)
	})
}

// TestSingleLinksAreRead reads links one by one, as the scanner does after notifications, and if the list
// of a namespace changes all the time.
func TestSingleLinksAreRead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	name := s.named()
	s.ip("link", "add", "mvhost", "link", "eth1", "index", "701", "type", "macvlan", "mode", "private")
	s.ip("link", "add", "one", "link", "eth1", "index", "702", "netns", name, "type", "macvlan", "mode", "bridge")
	s.assignAll()
	id, _, err := s.handle.AssignNSIDOfFile("/run/netns/" + name)
	s.must(err)
	want := func(want ...string) {
		t.Helper()
		if got := s.known(); !slices.Equal(got, want) {
			t.Errorf("interfaces %q, want %q", got, want)
		}
	}
	s.requireFound("mvhost macvlan private up=false []", "one macvlan bridge up=false []")
	s.ip("addr", "add", "192.0.2.9/24", "dev", "mvhost")
	s.ip("-n", name, "addr", "add", "2001:db8::9/64", "dev", "one", "nodad")
	s.ip("link", "add", "two", "link", "eth1", "index", "703", "netns", name, "type", "macvlan", "mode", "bridge")
	s.must(s.scanner.ScanLink(id, 703))
	want("mvhost macvlan private up=false []", "one macvlan bridge up=false []", "two macvlan bridge up=false []")
	s.must(s.scanner.ScanLink(id, 702))
	s.must(s.scanner.ScanLink(Host, 701))
	s.must(s.scanner.ScanLink(Host, 1)) // lo
	want("mvhost macvlan private up=false [192.0.2.9/24]", "one macvlan bridge up=false [2001:db8::9/64]", "two macvlan bridge up=false []")
	s.ip("-n", name, "link", "delete", "one")
	s.ip("link", "delete", "mvhost")
	s.ip("link", "add", "three", "link", "eth1", "index", "704", "netns", name, "type", "macvlan", "mode", "vepa")
	s.must(s.scanner.scanEach(id, []network.LinkInfo{{Index: 704}, {Index: 705}}))
	want("mvhost macvlan private up=false [192.0.2.9/24]", "three macvlan vepa up=false []", "two macvlan bridge up=false []")
	s.must(s.scanner.ScanLink(Host, 701))
	s.must(s.scanner.ScanLink(1<<20, 703)) // no namespace has the ID
	want("three macvlan vepa up=false []", "two macvlan bridge up=false []")
	s.requireFound("three macvlan vepa up=false []", "two macvlan bridge up=false []")
}
