package state

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestRecordsWithoutADoor requires that a record of a version without doors is read, and
// one without a door is written as that version does.
func TestRecordsWithoutADoor(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(&Attachment{Interface: "net1"})
	if err != nil || strings.Contains(string(text), "Door") {
		t.Fatalf("%s, %v", text, err)
	}
	a, err := Decode([]byte("k"), text)
	if err != nil || a.Door != nil {
		t.Errorf("%+v, %v", a, err)
	}
	a.Door = &Door{Name: DoorCNI, Network: "x"}
	if text, err = json.Marshal(a); err != nil {
		t.Fatal(err)
	}
	if b, err := Decode([]byte("k"), text); err != nil || b.Door == nil || *b.Door != *a.Door {
		t.Errorf("%+v, %v", b, err)
	}
}
