package bpf

import "testing"

func filterAt(priority uint16, handle uint32, name string) *filter {
	return &filter{kind: kindBPF, priority: priority, handle: handle, name: name}
}

func TestPlanFilter(t *testing.T) {
	t.Parallel()
	other := &filter{kind: "u32", priority: 2}
	tests := []struct {
		name    string
		filters []*filter
		want    uint16
	}{
		{"alone", nil, 1},
		{"first free", []*filter{filterAt(1, 1, "theirs"), other, filterAt(4, 1, "theirs")}, 3},
		{"stays where it is", []*filter{filterAt(5, filterHandle, "berth-ingress")}, 5},
		{"another's with our handle", []*filter{filterAt(1, filterHandle, "theirs")}, 2},
		{"another's with our name", []*filter{filterAt(1, 1, "berth-ingress")}, 2},
		{"ours of the other way", []*filter{filterAt(1, filterHandle, "berth-egress")}, 2},
	}
	for _, tt := range tests {
		got := planFilter(tt.filters, 3, ingress)
		if got.priority != tt.want || got.handle != filterHandle || got.index != 3 || !got.directAction {
			t.Errorf("%s: %+v, want priority %d", tt.name, got, tt.want)
		}
	}
}
