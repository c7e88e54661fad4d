package specs

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
)

// TestCanonicalIsTheSelectionsJSON compares the two for selections by name and in place: records
// hold the text, and the next start compares it.
func TestCanonicalIsTheSelectionsJSON(t *testing.T) {
	t.Parallel()
	full := Selection{
		Key: "berth/networks[0]", Network: "lan", Interface: "net7", IPs: []IP{{Addr: netip.MustParseAddr("192.0.2.9"), Bits: 24}},
		MAC: MAC{2, 0, 0, 0, 0, 1}, DefaultRoute: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}
	inPlace := full
	inPlace.Network, inPlace.InPlace = "", &Network{Parent: "eth1", Mode: ModeBridge}
	for _, s := range []Selection{{}, {Network: "lan"}, full, inPlace} {
		want, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(s.Canonical()); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	all, short := reflect.TypeFor[Selection](), reflect.TypeFor[byName]()
	for i := range all.NumField() {
		f := all.Field(i)
		if !f.IsExported() || f.Name == "Key" || f.Name == "InPlace" {
			continue
		}
		if same, ok := short.FieldByName(f.Name); !ok || same.Tag != f.Tag || same.Type != f.Type {
			t.Errorf("byName has no %s %s %q", f.Name, f.Type, f.Tag)
		}
	}
}
