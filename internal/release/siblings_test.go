package release

import (
	"slices"
	"testing"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// TestOwnPrograms has the programs that an interface needs itself. In mode l2 the driver gives ipvlan
// siblings copies of group frames, whatever the flag.
func TestOwnPrograms(t *testing.T) {
	t.Parallel()
	both := []bpf.OwnProgram{bpf.SiblingProgram, bpf.GuardProgram}
	enforced := []specs.Kind{specs.IPSpoof}
	for name, tt := range map[string]struct {
		of   state.Attachment
		want []bpf.OwnProgram
	}{
		"bridge":            {state.Attachment{Driver: specs.Macvlan, Mode: specs.ModeBridge}, []bpf.OwnProgram{bpf.ReceiverProgram}},
		"bridge, enforcing": {state.Attachment{Driver: specs.Macvlan, Mode: specs.ModeBridge, Enforce: enforced}, []bpf.OwnProgram{bpf.SiblingProgram, bpf.ReceiverProgram}},
		"private":           {state.Attachment{Driver: specs.Macvlan, Mode: specs.ModePrivate, Enforce: enforced}, nil},
		"l2":                {state.Attachment{Driver: specs.IPvlan, Mode: specs.ModeL2}, both},
		"l2 private":        {state.Attachment{Driver: specs.IPvlan, Mode: specs.ModeL2, IPvlanFlag: specs.FlagPrivate}, both},
		"l2 vepa":           {state.Attachment{Driver: specs.IPvlan, Mode: specs.ModeL2, IPvlanFlag: specs.FlagVEPA}, both},
		"l3":                {state.Attachment{Driver: specs.IPvlan, Mode: specs.ModeL3, IPvlanFlag: specs.FlagBridge}, both},
		"l3s private":       {state.Attachment{Driver: specs.IPvlan, Mode: specs.ModeL3S, IPvlanFlag: specs.FlagPrivate, Enforce: enforced}, nil},
	} {
		if got := OwnPrograms(&tt.of); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
