package results

import (
	"path/filepath"
	"reflect"
	"testing"
)

func TestUnproven(t *testing.T) {
	dir := t.TempDir()
	here, there := filepath.Join(dir, "of", "here"), filepath.Join(dir, "of", "there")
	for file, all := range map[string][]Result{
		here: {
			{Package: "p", Test: "TestVLAN", Outcome: Skip, Reason: "no vlan"},
			{Package: "p", Test: "TestWiFi", Outcome: Skip, Reason: "no radio", Where: "here"},
			{Package: "p", Test: "TestAlways", Outcome: Pass},
			{Package: "q", Test: "TestVLAN/tagged", Outcome: Skip, Reason: "no vlan"},
			{Package: "q", Test: "TestBroken", Outcome: Skip, Reason: "no ipvlan"},
		},
		there: {
			{Package: "p", Test: "TestVLAN", Outcome: Pass},
			{Package: "p", Test: "TestAlways", Outcome: Skip, Reason: "an old kernel"},
			{Package: "q", Test: "TestVLAN", Outcome: Pass}, // not the subtest
			{Package: "q", Test: "TestBroken", Outcome: Fail},
		},
	} {
		if err := Write(file, all); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Read(here, there)
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{Package: "q", Test: "TestBroken", Outcome: Skip, Reason: "no ipvlan"},
		{Package: "p", Test: "TestWiFi", Outcome: Skip, Reason: "no radio", Where: "here"},
		{Package: "q", Test: "TestVLAN/tagged", Outcome: Skip, Reason: "no vlan"},
	}
	if got := Unproven(all); !reflect.DeepEqual(got, want) {
		t.Errorf("unproven:\n%+v\nwant\n%+v", got, want)
	}
}
