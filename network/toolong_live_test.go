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

// addMACs adds MACs to a macvlan in mode source.
func addMACs(t *testing.T, ns *testnet.NS, name string, count int) {
	t.Helper()
	runBatch(t, ns, count, func(i int) string {
		return fmt.Sprintf("link set dev %s type macvlan macaddr add 02:00:5e:00:%02x:%02x", name, i>>8, i&255)
	})
}

// addNames adds alternative names of the greatest length to a link.
func addNames(t *testing.T, ns *testnet.NS, name string, count int) {
	t.Helper()
	runBatch(t, ns, count, func(i int) string { return fmt.Sprintf("link property add dev %s altname %0127d", name, i) })
}

func runBatch(t *testing.T, ns *testnet.NS, count int, line func(i int) string) {
	t.Helper()
	var batch strings.Builder
	for i := range count {
		batch.WriteString(line(i) + "\n")
	}
	path := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(path, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testnet.Run(t, ns, "ip", "-batch", path)
}

// TestLinkThatIsTooLong has links that the kernel describes in more than 64 KiB, as a container with
// CAP_NET_ADMIN can make them. They delay neither their own query nor the next one, and their changes arrive.
func TestLinkThatIsTooLong(t *testing.T) {
	for name, addMany := range map[string]func(t *testing.T, ns *testnet.NS){
		"by MACs":  func(t *testing.T, ns *testnet.NS) { addMACs(t, ns, "long", 5600) },
		"by names": func(t *testing.T, ns *testnet.NS) { addNames(t, ns, "long", 494) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testnet.Need(t, testnet.Macvlan)
			s := newSite(t)
			testnet.Run(t, s.host, "ip", "link", "add", "link", "eth1", "name", "long", "type", "macvlan", "mode", "source")
			long, err := s.h.LinkByName("long")
			if err != nil {
				t.Fatal(err)
			}
			addMany(t, s.host)
			s.requireTooLong(t, long.Index)
		})
	}
}

// requireTooLong checks the queries and the notification of the link named long.
func (s *site) requireTooLong(t *testing.T, index int) {
	t.Helper()
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
			if c.Index == index {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no change of the link arrived")
		}
	}
}
