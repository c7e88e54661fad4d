package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"berth/specs"
)

// ringBatch is the number of events copied out of the ring at a time.
const ringBatch = 256

// writeTimeout is the time in which a reader must take a line of events.
const writeTimeout = 30 * time.Second

// serveEvents writes the kept events, a JSON object a line, and with follow=1 goes on with new
// ones. A reader that falls behind the kept events is cut off, so that it does not miss the
// gap.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	wanted, err := parseFilter(r.URL.Query())
	follow, err2 := parseFlag(r, "follow")
	if err == nil {
		err = err2
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	for from, begun := uint64(0), false; ; begun = true {
		list, next, lost, more := s.ring.Since(from, ringBatch)
		if begun && lost {
			panic(http.ErrAbortHandler)
		}
		from = next
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		for i := range list {
			if wanted.matches(&list[i]) && lines.Encode(&list[i]) != nil {
				return
			}
		}
		if len(list) > 0 {
			continue
		}
		if !follow || control.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

// filter selects the events that a reader wants.
type filter struct {
	kind      specs.Kind
	container string
	since     time.Time
}

func parseFilter(q url.Values) (f filter, err error) {
	f.kind, f.container = specs.Kind(q.Get("kind")), q.Get("container")
	if f.kind != "" && !slices.Contains(specs.EventKinds(), f.kind) {
		return f, specs.Invalid("kind", string(f.kind), "one of %s", strings.Trim(fmt.Sprint(specs.EventKinds()), "[]"))
	}
	if since := q.Get("since"); since != "" {
		if f.since, err = time.Parse(time.RFC3339, since); err != nil {
			return f, specs.Invalid("since", since, "a time as 2006-01-02T15:04:05Z")
		}
	}
	return f, nil
}

func (f *filter) matches(e *specs.Event) bool {
	return (f.kind == "" || e.Kind == f.kind) && !e.Time.Before(f.since) &&
		(f.container == "" || f.matchesParty(e.Sender) || f.matchesParty(e.Owner) || f.matchesParty(e.Receiver))
}

func (f *filter) matchesParty(p *specs.Party) bool {
	return p != nil && (strings.HasPrefix(p.ContainerID, f.container) || p.Name == f.container)
}
