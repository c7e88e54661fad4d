package plan

import (
	"bytes"
	"testing"
)

func TestEventsSurviveTheLine(t *testing.T) {
	want := Event{What: End, Name: "berth/network", Status: 137, Seconds: 1.5}
	line, err := want.Line("MARK ")
	if err != nil {
		t.Fatal(err)
	}
	if line[0] != '\n' || bytes.Count(line, []byte("\n")) != 2 {
		t.Fatalf("%q does not stand on a line of its own", line)
	}
	got, ok, err := Parse("MARK ", bytes.TrimSpace(line))
	if err != nil || !ok || got != want {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
}

func TestParseDistinguishesOutputFromEvents(t *testing.T) {
	for _, line := range []string{"", "--- PASS: TestX", "a MARK {}"} {
		if _, ok, err := Parse("MARK ", []byte(line)); ok || err != nil {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
	}
	if _, ok, err := Parse("MARK ", []byte(`MARK {"What":`)); !ok || err == nil {
		t.Errorf("a torn event: %v, %v", ok, err)
	}
}
