package specs

import (
	"slices"
	"strings"
	"testing"
)

func TestEnforceByOption(t *testing.T) {
	n := &Network{Parent: "eth1", Mode: ModePrivate}
	for _, option := range [][2]string{{"enforce", "mac-spoof, private-leak"}, {"enforce", "rogue-ra"}, {"allow", "dhcp-server"}} {
		if err := n.SetOption(option[0], option[1]); err != nil {
			t.Fatal(err)
		}
	}
	n.SetDefaults()
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(n.Enforce, []Kind{MACSpoof, PrivateLeak, RogueRA}) || !slices.Equal(n.Allow, []Allowance{AllowDHCPServer}) {
		t.Errorf("enforce %q, allow %q", n.Enforce, n.Allow)
	}
	if err := n.SetOption("enforce", "duplicate-ip"); err != nil {
		t.Fatal(err)
	}
	if err := n.Check(); err == nil || !strings.Contains(err.Error(), "mac-spoof, ip-spoof, private-leak") {
		t.Errorf("%v: want the kinds that can be enforced named", err)
	}
}

// An annotation must not set enforce or allow.
func TestEnforceIsNotInPlace(t *testing.T) {
	for _, key := range []string{"enforce", "allow"} {
		_, err := ParseAnnotations(map[string]string{KeyNetworks: `[{"parent": "eth1", "` + key + `": ["router"]}]`})
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s in an annotation: %v", key, err)
		}
	}
}

// Each kind has one judge, and only a kind of the datapath can be dropped.
func TestPolicyJudges(t *testing.T) {
	for _, k := range Enforceable() {
		if !slices.Contains(Kinds(), k) || k.Judge() != JudgeDatapath {
			t.Errorf("%s can be enforced, and is judged by the %s", k, k.Judge())
		}
	}
}

func TestSplitBroken(t *testing.T) {
	violations, dropped := SplitBroken(map[Kind]Broken{MACSpoof: {3, 1}, IPSpoof: {2, 0}})
	if len(violations) != 2 || violations[MACSpoof] != 3 || violations[IPSpoof] != 2 || len(dropped) != 1 || dropped[MACSpoof] != 1 {
		t.Errorf("%v and %v", violations, dropped)
	}
}
