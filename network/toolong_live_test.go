package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
)

// addSources adds MACs to a macvlan in mode source.
func addSources(t *testing.T, ns *testnet.NS, name string, count int) {
	t.Helper()
	var batch strings.Builder
	for i := range count {
		fmt.Fprintf(&batch, "link set dev %s type macvlan macaddr add 02:00:5e:00:%02x:%02x\n", name, i>>8, i&255)
	}
	path := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(path, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testnet.Run(t, ns, "ip", "-batch", path)
}

// TestLinkThatIsTooLong has a link that the kernel describes in more than 64 KiB, as a container with
// CAP_NET_ADMIN can make it. It delays neither its own query nor the next one, and its changes arrive.
func TestLinkThatIsTooLong(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	s := newSite(t)
	testnet.Run(t, s.host, "ip", "link", "add", "link", "eth1", "name", "long", "type", "macvlan", "mode", "source")
	long, err := s.h.LinkByName("long")
	if err != nil {
		t.Fatal(err)
	}
	addSources(t, s.host, "long", 5600)
	start := time.Now()
	if _, err := s.h.LinkByName("long"); !errors.Is(err, ErrTooLong) {
		t.Errorf("the error is %v, want %v", err, ErrTooLong)
	}
	if l, err := s.h.LinkByIndex(s.parent.Index); err != nil || l.Name != "eth1" {
		t.Errorf("the next query: %+v, %v", l, err)
	}
	if took := time.Since(start); took > time.Duration(timeout.Sec)*time.Second/2 {
		t.Errorf("the queries took %s", took)
	}
	came := listenChanges(t, s.host)
	testnet.Run(t, s.host, "ip", "link", "set", "dev", "long", "mtu", "1400")
	for {
		select {
		case c := <-came:
			if c.Index == long.Index {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no change of the link arrived")
		}
	}
}
