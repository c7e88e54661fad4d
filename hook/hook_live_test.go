package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"berth/internal/testnet"
)

const lan = `parent = "PARENT"
[[subnet]]
subnet = "192.0.2.0/24"
gateway = "192.0.2.1"
`

// ping sends two echo requests, and waits as long as a loaded machine may take.
func ping(t *testing.T, from *testnet.NS, to string) error { return pingWithin(t, from, to, 20) }

// pingWithin sends two echo requests, and waits so many seconds.
func pingWithin(t *testing.T, from *testnet.NS, to string, seconds int) error {
	var err error
	testnet.In(t, from, func() {
		var out []byte
		if out, err = exec.Command("ping", "-n", "-c", "2", "-i", "0.05", "-W", strconv.Itoa(seconds), to).CombinedOutput(); err != nil {
			err = fmt.Errorf("ping %s: %w\n%s", to, err, out)
		}
	})
	return err
}

func TestAttachAndRelease(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	testnet.Address(t, h.lan, "wire", "192.0.2.1/24")
	a, b := h.box("a", "lan"), h.box("b", "lan@lan0")
	before := h.snapshot(a)

	h.mustStart(a)
	h.mustStart(b)
	if got := testnet.Run(t, a.ns, "ip", "-o", "-4", "addr", "show", "net1"); !strings.Contains(got, "192.0.2.2/24") {
		t.Errorf("address of a: %s", got)
	}
	if got := testnet.Run(t, b.ns, "ip", "-o", "-4", "addr", "show", "lan0"); !strings.Contains(got, "192.0.2.3/24") {
		t.Errorf("address of b: %s", got)
	}
	if got := testnet.Run(t, a.ns, "ip", "route", "show", "default"); !strings.HasPrefix(got, "default via 192.0.2.1 dev net1") {
		t.Errorf("default route of a: %q", got)
	}
	r := h.firstOf("a")
	link := testnet.Run(t, a.ns, "ip", "-d", "-o", "link", "show", "net1")
	for _, want := range []string{r.MAC.String(), "macvlan mode bridge", "mtu 1500", "alias " + r.Alias()} {
		if !strings.Contains(link, want) {
			t.Errorf("link has no %q: %s", want, link)
		}
	}
	for _, err := range []error{ping(t, a.ns, "192.0.2.3"), ping(t, a.ns, "192.0.2.1"), ping(t, h.lan, "192.0.2.2")} {
		if err != nil {
			t.Error(err)
		}
	}
	h.mustStop(a)
	h.mustStop(a) // a second stop changes nothing
	h.mustStop(b)
	h.unchanged(a, before)
}

func TestTheNamespaceIsDeadAtStop(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	before := h.records()
	h.mustStart(a)
	_ = a.process.Kill() // the container runs until here
	_, _ = a.process.Wait()
	if err := a.ns.Close(); err != nil {
		t.Fatal(err)
	}
	h.mustStop(a)
	if after := h.records(); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}

func TestCancelledStartIsUndone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	before := h.snapshot(a)
	ctx, cancel := context.WithCancel(t.Context())
	h.step = func(name string) error {
		if name == "set them up" {
			cancel()
		}
		return nil
	}
	err := h.hook().Run(ctx, "", bytes.NewReader(a.state("creating")))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	h.unchanged(a, before)
}

func TestRepeatedStartChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan,lan@x")
	h.mustStart(a)
	before := h.snapshot(a)
	h.mustStart(a)
	h.unchanged(a, before)
}

func TestContainersOfOneNamespaceShareTheAttachment(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	b := &box{id: "b", ns: a.ns, process: a.process, annotations: a.annotations}
	h.mustStart(a)
	h.mustStart(b)
	if got := h.attachments("b"); len(got) != 1 || strings.Join(got[0].Containers, ",") != "a,b" {
		t.Fatalf("attachments of b:\n%s", h.records())
	}
	h.mustStop(a)
	if got := h.attachments("b"); len(got) != 1 {
		t.Fatalf("the first to go took it along:\n%s", h.records())
	}
	if got := testnet.Run(t, a.ns, "ip", "-o", "link", "show", "net1"); got == "" {
		t.Error("the link is gone while b has it")
	}
	h.mustStop(b)
	if got := h.records(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}

func TestDeletedLinkIsRecreated(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	h.mustStart(a)
	testnet.Run(t, a.ns, "ip", "link", "del", "net1")
	h.mustStart(a)
	if got := h.attachments("a"); len(got) != 1 || got[0].Addresses[0].String() != "192.0.2.2/24" {
		t.Errorf("records:\n%s", h.records())
	}
	h.mustStop(a)
}
