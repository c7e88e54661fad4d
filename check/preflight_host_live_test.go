package check

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/state"
	"berth/internal/testnet"
)

// TestPreflightShim: an address of the host's shim is no conflict.
func TestPreflightShim(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	h.writeNetwork("lan", lan)
	n, err := config.Network(h.c.Dirs.Config, "lan")
	if err != nil {
		t.Fatal(err)
	}
	testnet.In(t, h.ns, func() {
		shims := &hostshim.Shims{Store: state.Open(h.c.Dirs.State), Log: slog.New(slog.DiscardHandler)}
		_, err = shims.Enable(t.Context(), n, []netip.Addr{netip.MustParseAddr("192.0.2.70")})
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLine(t, "with a shim", h.preflightLines("lan"), "IPv4", Pass, "64 addresses, 63 of them left")
	h.runIP("addr add 192.0.2.71/24 dev eth1")
	got := mustFindLine(t, slices.DeleteFunc(h.preflightLines("lan"), func(l Line) bool { return l.Result == Pass }), "IPv4")
	if !strings.Contains(got.Message, "this host has 192.0.2.71, which is in the range") {
		t.Errorf("with an address of its own besides: %+v", got)
	}
}

// TestPreflightUnsafe requires a line with a remedy for each file and directory that hook
// and agent refuse.
func TestPreflightUnsafe(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", lan)
	file := config.NetworkFile(h.c.Dirs.Config, "lan")
	if err := errors.Join(os.Chmod(file, 0o666), os.Mkdir(h.c.Dirs.State, 0o755), os.Chmod(h.c.Dirs.State, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(h.c.Preflight(t.Context(), ""), func(l Line) bool { return l.Result != Fail })
	if len(lines) != 3 {
		t.Errorf("want one line of config, one of state, and one of records: %+v", lines)
	}
	for check, path := range map[string]string{"config": file, "state": h.c.Dirs.State} {
		if got := mustFindLine(t, lines, check); !strings.HasPrefix(got.Message, path+" has mode ") || !strings.Contains(got.Remedy, "chmod go-w "+path) {
			t.Errorf("%+v", got)
		}
	}
}

// TestPreflightHost requires that any machine's host is described without an error.
func TestPreflightHost(t *testing.T) {
	t.Parallel()
	hasMacvlan := testnet.Has(testnet.Macvlan) // loads the module, which a check does not
	h := newHost(t)
	h.c.Dirs.BPFFS = "/sys/fs/bpf/" + testnet.Unique("check")
	lines := h.c.Preflight(h.Context(), "")
	for check, want := range map[string]Result{
		"BPF": Pass, "bpffs": Pass, "state": Pass, "config": Pass, "agent": Warn, "networks": Warn, "engine": Warn,
	} {
		if got := mustFindLine(t, lines, check); got.Result != want {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	if got := mustFindLine(t, lines, "macvlan").Result == Pass; got != hasMacvlan {
		t.Errorf("macvlan passes: %t", got)
	}
	if tcx := h.c.gatherBPF("").TCX == nil; tcx && mustFindLine(t, lines, "attach by").Message != "tcx" {
		t.Errorf("tcx is there: %+v", mustFindLine(t, lines, "attach by"))
	}
	if _, err := os.Stat(h.c.Dirs.State); err == nil {
		t.Error("a check has made the state directory")
	}
	h.c.Dirs.BPFFS = h.TempDir()
	if got := mustFindLine(t, h.c.Preflight(h.Context(), ""), "bpffs"); got.Result != Warn {
		t.Errorf("not on bpffs: %+v", got)
	}
}
