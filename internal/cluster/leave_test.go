package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestLeave checks that a node gives back all keys of a domain, and those of no other, and that it
// keeps them while an address is leased.
func TestLeave(t *testing.T) {
	t.Parallel()
	ctx, store, open := context.Background(), newMemory(), openKeys{}
	self := newSelf(t, store)
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

// TestLeaveOfClone checks that a copy of a present node, on which the network was removed, gives back
// none of the original's keys, and that the original can.
func TestLeaveOfClone(t *testing.T) {
	t.Parallel()
	ctx, store, open, disk := context.Background(), newMemory(), openKeys{}, &kept{NewFile()}
	original := openSelf(t, store, disk, "boot1")
	if err := keepOf(t, original, testDomain, open).Round(ctx); err != nil {
		t.Fatal(err)
	}
	key, value := original.Presence()
	if err := store.Present(ctx, key, value); err != nil {
		t.Fatal(err)
	}
	had := len(store.entries)
	clone := openSelf(t, store, &kept{disk.file.clone()}, "boot2")
	everything := func() (bool, error) { return true, nil }
	if left, err := clone.Leave(ctx, testDomain, everything); left || !errors.Is(err, ErrAlive) || len(store.entries) != had {
		t.Errorf("a clone gives back its original's keys: %t, %v; %d of %d are left", left, err, len(store.entries), had)
	}
	if left, err := original.Leave(ctx, testDomain, everything); !left || err != nil {
		t.Errorf("the original cannot leave: %v", err)
	}
}

// TestOwnedDomains checks that a node finds the keys that the store gives to it and its file does
// not list, and no others.
func TestOwnedDomains(t *testing.T) {
	t.Parallel()
	ctx, store, open := context.Background(), newMemory(), openKeys{}
	for _, d := range []Domain{testDomain, "other"} {
		self := newSelf(t, store)
		if err := keepOf(t, self, d, open).Round(ctx); err != nil {
			t.Fatal(err)
		}
		if self.file.Held = nil; len(self.HeldDomains()) != 0 {
			t.Fatal("the file lists domains")
		}
		if got, err := self.OwnedDomains(ctx); err != nil || len(got) != 1 || got[0] != d {
			t.Errorf("the store gives the domains %v to the node, want %q; %v", got, d, err)
		}
	}
}

// TestOwnedDomainsOfAttacker checks that a node ignores keys of domains that no network can have, which
// an attacker has written with the node's identity.
func TestOwnedDomainsOfAttacker(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), newMemory()
	self := newSelf(t, store)
	value := encode(ownerValue{Node: self.ID()})
	for _, name := range []string{"", "A", "x\x00y", strings.Repeat("x", 64), "real"} {
		if _, err := store.Swap(ctx, Change{Key: "domain/" + name + "/block/192.0.2.0", Action: Put, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := self.OwnedDomains(ctx); err != nil || len(got) != 1 || got[0] != "real" {
		t.Errorf("the domains are %q, %v", got, err)
	}
}

// TestForgottenNodesLeaveNothing checks that a keeper does not remember nodes that are gone.
func TestForgottenNodesLeaveNothing(t *testing.T) {
	t.Parallel()
	k := settledKeeper(t, newMemory(), openKeys{})
	k.absentFor(View{Nodes: map[NodeID]Node{nodeA: {}, nodeB: {}}})
	if all := k.absentFor(View{Nodes: map[NodeID]Node{nodeB: {}}}); len(all) != 1 || len(k.present) != 1 {
		t.Errorf("it has %v and remembers %v", all, k.present)
	}
}
