package release

import (
	"errors"
	"strconv"
	"testing"

	"berth/internal/testnet"
	"berth/network"
)

// reused simulates a kernel in which a namespace ends between finding its link
// and deleting it, and another namespace gets the ID.
type reused struct {
	Links
	reuse func(nsid int)
}

func (r *reused) DeleteIn(nsid int, name string) error {
	r.reuse(nsid)
	return r.Links.DeleteIn(nsid, name)
}

func (r *reused) DeleteAtIn(nsid, index int) error {
	r.reuse(nsid)
	return r.Links.DeleteAtIn(nsid, index)
}

// TestNothingOfAnotherNamespaceIsDeleted releases a container whose namespace
// ends at the last moment. The namespace that gets its ID has a link with the
// same index.
func TestNothingOfAnotherNamespaceIsDeleted(t *testing.T) {
	t.Parallel()
	x := newLinkScene(t, testnet.Namespace(t), 0) // no other test uses the IDs of this namespace
	var other *testnet.NS
	r := x.releaser()
	r.Host = &reused{Links: x.host, reuse: func(nsid int) {
		must(t, x.container.Close())
		testnet.Eventually(t, "the namespace is dead", func() bool {
			_, err := x.host.LinkIn(nsid, "net1")
			return errors.Is(err, network.ErrNoNamespace)
		})
		other = namespaceWithID(t, x.host, nsid)
		testnet.Run(t, other, "ip", "link", "add", "eth0", "index", strconv.Itoa(x.a.LinkIndex), "type", "bridge")
	}}
	must(t, r.Container(t.Context(), "c"))
	testnet.Run(t, other, "ip", "link", "show", "eth0")
}

// namespaceWithID makes namespaces until one has the ID in the host's.
func namespaceWithID(t *testing.T, host *network.Handle, nsid int) (with *testnet.NS) {
	t.Helper()
	testnet.Eventually(t, "the id is given again", func() bool {
		with = testnet.Namespace(t)
		n, err := network.OpenPath(with.Path())
		must(t, err)
		defer n.Close()
		got, err := host.AssignNSID(n)
		must(t, err)
		return got == nsid
	})
	return with
}

// TestALinkWithoutAnAlternativeNameIsDeleted releases a container whose link was
// made by an older version, or whose processes removed the name.
func TestALinkWithoutAnAlternativeNameIsDeleted(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	testnet.Run(t, x.container, "ip", "link", "property", "del", "dev", "net1", "altname", x.a.AltName())
	must(t, x.releaser().Container(t.Context(), "c"))
	if l, err := x.host.LinkIn(x.a.NSID, "net1"); !errors.Is(err, network.ErrNoLink) {
		t.Errorf("the link: %+v, %v; want it gone", l, err)
	}
}
