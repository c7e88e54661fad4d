package cluster

import (
	"context"
	"testing"
)

// TestLeave checks that a node gives back all keys of a domain, and those of no other, and that it
// keeps them while an address is leased.
func TestLeave(t *testing.T) {
	t.Parallel()
	ctx, store, open := context.Background(), newMemory(), openKeys{}
	self, err := OpenSelf(SelfConfig{Store: store, Disk: &kept{NewFile()}, Name: "node1", Boot: "boot"})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Domain{testDomain, "other"} {
		if err := keepOf(t, self, d, open).Round(ctx); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(d Domain) int {
		s, err := store.List(ctx, d.prefix())
		if err != nil {
			t.Fatal(err)
		}
		return len(s.Entries)
	}
	had := keys(testDomain)
	if left, err := self.Leave(ctx, testDomain, func() (bool, error) { return false, nil }); left || err != nil {
		t.Errorf("a domain with a leased address is left: %t, %v", left, err)
	}
	if got := self.HeldDomains(); len(got) != 2 || keys(testDomain) != had {
		t.Errorf("the domains are %v, with %d keys of %d", got, keys(testDomain), had)
	}
	if left, err := self.Leave(ctx, testDomain, func() (bool, error) { return true, nil }); !left || err != nil {
		t.Errorf("the domain is not left: %v", err)
	}
	if got := self.HeldDomains(); len(got) != 1 || got[0] != "other" || keys(testDomain) != 1 || keys("other") != had {
		t.Errorf("the domains are %v; %d and %d keys are left, want the pool's text and %d", got, keys(testDomain), keys("other"), had)
	}
}
