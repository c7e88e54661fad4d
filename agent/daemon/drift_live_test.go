package daemon

import "testing"

// TestMissingInterfacesAreInspectedOnce: an inspection of interfaces that do not exist is not
// repeated each time that the agent reconciles.
func TestMissingInterfacesAreInspectedOnce(t *testing.T) {
	a := newTestAgent(t, 16)
	fillWith(t, a, 5)
	d, err := newDrifter(a, true)
	mustSucceed(t, err)
	defer d.host.Close()
	mustSucceed(t, d.inspectDue(t.Context()))
	now, err := a.records.currentReading(t.Context())
	mustSucceed(t, err)
	if len(now.all) != 5 {
		t.Fatalf("%d records, want 5", len(now.all))
	}
	for _, r := range now.all {
		if !r.compared.Load() {
			t.Errorf("%s is still due", r.key)
		}
	}
}
