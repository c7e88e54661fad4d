package doctor

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/check"
	"berth/engine/install"
	"berth/engine/program"
	"berth/engine/resident"
)

// listen makes the socket of the resident hook, for the rest of the test.
func (d *Doctor) listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(d.Dirs.State, resident.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestResident requires that a missing client and a missing service are shown with a remedy, and are
// neither a warning nor a failure.
func TestResident(t *testing.T) {
	d := newDoctor(t)
	want := func(what, message, remedy string) {
		t.Helper()
		l := d.checkResident()
		if l.Result != check.Pass || !strings.Contains(l.Message, message) || !strings.Contains(l.Remedy, remedy) ||
			(l.Remedy == "") != (remedy == "") {
			t.Errorf("%s: %+v, want a pass with %q and %q", what, l, message, remedy)
		}
	}
	want("no service", "nothing listens on "+d.Dirs.State, "`systemctl enable --now berth-hook.socket`")
	l := d.listen(t)
	want("a service", "passes containers to the resident berth-hook", "")
	blank := *d
	blank.Dirs.State = filepath.Join(t.TempDir(), "a state with blanks")
	if err := os.Mkdir(blank.Dirs.State, 0o755); err != nil {
		t.Fatal(err)
	}
	blank.listen(t)
	if got := blank.checkResident(); got.Remedy != "" {
		t.Errorf("a directory with blanks: %+v", got)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	want("a socket that a killed service has left", "nothing listens", "berth-hook.socket")
	if err := os.Remove(filepath.Join(d.Bin, program.Client)); err != nil {
		t.Fatal(err)
	}
	want("no client", "engines run berth-hook;", "put berth-hook-client into")
}

// TestInstalledWithoutTheClient requires that an installation from before the client is complete, with
// the command that names it.
func TestInstalledWithoutTheClient(t *testing.T) {
	d := newDoctor(t, "podman")
	client := filepath.Join(d.Bin, program.Client)
	if err := os.Remove(client); err != nil {
		t.Fatal(err)
	}
	p, err := install.Install(install.Options{Engine: install.Podman, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path,
		Version: d.Version})
	if err == nil {
		err = p.Apply()
	}
	if err != nil {
		t.Fatal(err)
	}
	configured := func() check.Line {
		l, ok := d.checkInstalled(install.Podman, install.Podman)
		if !ok {
			t.Fatal("podman is not installed")
		}
		return l
	}
	if l := configured(); l.Result != check.Pass || l.Remedy != "" {
		t.Errorf("without a client: %+v", l)
	}
	d.writeFile(t, "usr/bin/"+program.Client, "")
	if l := configured(); l.Result != check.Pass || !strings.Contains(l.Message, "as installed, with berth-hook") ||
		!strings.Contains(l.Remedy, "berth install --engine podman") {
		t.Errorf("with a client: %+v", l)
	}
	d.writeFile(t, "usr/share/containers/oci/hooks.d/berth.json", "{}")
	if l := configured(); l.Result != check.Warn {
		t.Errorf("with another change: %+v", l)
	}
}
