package main

import (
	"errors"
	"slices"
	"testing"
)

func TestLoadOrder(t *testing.T) {
	needs := map[string][]string{
		"bridge": {"stp", "llc"}, "stp": {"llc"}, "llc": nil, "8021q": {"mrp"}, "mrp": nil,
	}
	depsOf := func(name string) ([]string, bool, error) {
		deps, ok := needs[name]
		switch {
		case name == "ipv6":
			return nil, false, nil
		case !ok:
			return nil, false, errors.New("no " + name)
		}
		return deps, true, nil
	}
	got, err := loadOrder([]string{"bridge", "ipv6", "llc", "8021q"}, depsOf)
	if want := []string{"llc", "stp", "bridge", "mrp", "8021q"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := loadOrder([]string{"bridge", "nothing"}, depsOf); err == nil {
		t.Error("a missing module is no error")
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{
		"kernel/net/sched/act-bpf.ko":       "act_bpf",
		"/x/kernel/drivers/net/veth.ko.xz":  "veth",
		"kernel/net/packet/af_packet.ko.gz": "af_packet",
	} {
		if got := moduleName(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestDepends(t *testing.T) {
	for text, want := range map[string][]string{
		"license=GPL\x00depends=llc,stp-x\x00name=bridge\x00": {"llc", "stp_x"},
		"license=GPL\x00depends=\x00name=veth\x00":            nil,
		"name=x\x00": nil,
	} {
		if got := depends([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if _, err := dependencies([]byte("no ELF")); err == nil {
		t.Error("a file that is no module gives no error")
	}
}
