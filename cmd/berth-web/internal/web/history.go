package web

import (
	"encoding/json"
	"net/http"
	"time"

	"berth/specs"
)

// The history keeps at most keptSeconds of each endpoint, and at most keptPoints of all
// together: those of many endpoints that talk reach less far back. A point has 56 bytes.
const (
	keptSeconds = 300
	keptPoints  = 300_000
	leastKept   = 30 // seconds that each endpoint keeps in any case
)

// point is a second in which an endpoint talked: bytes per second by direction (receive,
// transmit), scope (local, external) and cast (unicast, multicast, broadcast).
type point struct {
	at    int64 // in seconds
	rates [12]float32
}

// History keeps the rates of the last minutes, so that a chart does not begin empty. Seconds
// without traffic take no room.
type History struct {
	times  []int64            // of the samples, oldest first
	tracks map[string][]point // by the endpoint's key, oldest first
	points int
}

// Add stores the rates of a view, and drops the oldest. If the clock went back, it drops all.
func (h *History) Add(v *View) {
	at := v.Time.Unix()
	if n := len(h.times); n > 0 && h.times[n-1] > at {
		*h = History{}
	} else if n > 0 && h.times[n-1] == at {
		return
	}
	h.times = append(h.times, at)
	if h.tracks == nil {
		h.tracks = make(map[string][]point)
	}
	for _, e := range v.entries {
		if e.now == e.from {
			continue // no rate, or a rate of 0
		}
		h.tracks[e.row.Key] = append(h.tracks[e.row.Key], point{at, byteRates(e.now.Minus(e.from), v.Over)})
		h.points++
	}
	h.drop(at - keptSeconds)
	for h.points > keptPoints && len(h.times) > leastKept {
		h.drop(h.times[len(h.times)/8])
	}
}

// drop forgets all that is not after a time.
func (h *History) drop(until int64) {
	h.times = after(h.times, func(at int64) bool { return at > until })
	h.points = 0
	for key, all := range h.tracks {
		kept := after(all, func(p point) bool { return p.at > until })
		if h.tracks[key] = kept; len(kept) == 0 {
			delete(h.tracks, key)
		}
		h.points += len(kept)
	}
}

// after returns the elements from the first that is kept.
func after[T any](all []T, isKept func(T) bool) []T {
	for i := range all {
		if isKept(all[i]) {
			return all[i:]
		}
	}
	return nil
}

// Of returns the samples of an endpoint since the first in which it talked: [seconds, rates].
func (h *History) Of(key string) []any {
	all, i := []any{}, 0
	points := h.tracks[key]
	for _, at := range h.times {
		switch {
		case i < len(points) && points[i].at == at:
			all = append(all, []any{at, points[i].rates})
			i++
		case i > 0:
			all = append(all, []any{at, [12]float32{}})
		}
	}
	return all
}

// byteRates returns the bytes per second of numbers that were counted in an interval.
func byteRates(n specs.Numbers, over time.Duration) (bytes [12]float32) {
	for i := range bytes {
		bytes[i] = float32(float64(n[2*i+1]) / over.Seconds())
	}
	return bytes
}

// serveHistory answers with the samples of the endpoint whose key is asked for. The schema of the
// answer is specs/schema/page-history.json.
func (h *Hub) serveHistory(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	all := h.history.Of(r.URL.Query().Get("key"))
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all) // the reader may be gone
}
