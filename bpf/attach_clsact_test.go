package bpf

import (
	"testing"

	"github.com/vishvananda/netlink"
)

func filterAt(priority uint16, handle uint32, name string) netlink.Filter {
	return &netlink.BpfFilter{FilterAttrs: netlink.FilterAttrs{Priority: priority, Handle: handle}, Name: name}
}

func TestPlanFilter(t *testing.T) {
	t.Parallel()
	other := &netlink.U32{FilterAttrs: netlink.FilterAttrs{Priority: 2}}
	tests := []struct {
		name    string
		filters []netlink.Filter
		want    uint16
	}{
		{"alone", nil, 1},
		{"first free", []netlink.Filter{filterAt(1, 1, "theirs"), other, filterAt(4, 1, "theirs")}, 3},
		{"stays where it is", []netlink.Filter{filterAt(5, filterHandle, "berth-ingress")}, 5},
		{"another's with our handle", []netlink.Filter{filterAt(1, filterHandle, "theirs")}, 2},
		{"another's with our name", []netlink.Filter{filterAt(1, 1, "berth-ingress")}, 2},
		{"ours of the other way", []netlink.Filter{filterAt(1, filterHandle, "berth-egress")}, 2},
	}
	for _, tt := range tests {
		got := planFilter(tt.filters, 3, ingress)
		if got.Priority != tt.want || got.Handle != filterHandle || got.LinkIndex != 3 || !got.DirectAction {
			t.Errorf("%s: %+v, want priority %d", tt.name, got, tt.want)
		}
	}
}
