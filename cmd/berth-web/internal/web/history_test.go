package web

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// viewAt returns a view of a second in which the endpoints have rates.
func viewAt(second int, bytes map[string]uint64) *View {
	v := &View{Time: begun.Add(time.Duration(second) * time.Second), Over: time.Second}
	for key, b := range bytes {
		e := &entry{row: Row{Key: key}, rated: true}
		e.now[23] = b
		v.entries = append(v.entries, e)
	}
	return v
}

// TestHistory requires each second since the first with traffic, also those without.
func TestHistory(t *testing.T) {
	t.Parallel()
	var h History
	for second, bytes := range []uint64{0, 5, 0, 7} {
		h.Add(viewAt(second, map[string]uint64{"web": bytes}))
	}
	h.Add(viewAt(3, map[string]uint64{"web": 99})) // the same second
	text, err := json.Marshal(h.Of("web"))
	at := begun.Unix()
	want := fmt.Sprintf("[[%d,[0,0,0,0,0,0,0,0,0,0,0,5]],[%d,[0,0,0,0,0,0,0,0,0,0,0,0]],[%d,[0,0,0,0,0,0,0,0,0,0,0,7]]]", at+1, at+2, at+3)
	if err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	if all := h.Of("nothing"); len(all) != 0 {
		t.Errorf("an unknown endpoint has the history %v", all)
	}
}

// TestHistoryAfterTheClockWentBack requires that the history goes on, and has no times of the future.
func TestHistoryAfterTheClockWentBack(t *testing.T) {
	t.Parallel()
	var h History
	for _, second := range []int{3600, 3601, 0, 1, 2} {
		h.Add(viewAt(second, map[string]uint64{"web": 1}))
	}
	if all := h.Of("web"); len(all) != 3 || h.points != 3 {
		t.Errorf("history %v of %d points after the clock went back by an hour, want the three seconds since then", all, h.points)
	}
}

// TestHistoryIsBounded adds more than a history keeps, in time and in number.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	var h History
	for second := range keptSeconds + 100 {
		h.Add(viewAt(second, map[string]uint64{"web": 1}))
	}
	if n := len(h.Of("web")); n != keptSeconds || h.points != keptSeconds {
		t.Errorf("%d samples, %d points, want %d", n, h.points, keptSeconds)
	}
	many := make(map[string]uint64)
	for i := range 10000 {
		many[fmt.Sprint("c", i)] = 1
	}
	for second := range 100 {
		h.Add(viewAt(1000+second, many))
	}
	if n := len(h.Of("c9")); h.points > keptPoints || n < leastKept-leastKept/8-1 {
		t.Errorf("%d points of all, %d of one; want at most %d, and about %d", h.points, n, keptPoints, leastKept)
	}
	h.Add(viewAt(10000, nil))
	if len(h.tracks) != 0 || h.points != 0 {
		t.Errorf("%d tracks are left of endpoints that have ended", len(h.tracks))
	}
}
