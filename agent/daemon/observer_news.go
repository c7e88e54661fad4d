package daemon

import (
	"errors"
	"maps"
	"time"

	"berth/agent/observe"
	"berth/network"
)

// news is the part of the namespaces that must be read again.
type news struct {
	due     map[int]bool // namespaces that have changed, by NSID
	renewed map[int]bool // IDs whose namespace has ended
	every   bool         // whether anything may have changed
	unheard bool         // whether notifications were lost
	round   bool         // whether records are to be completed
}

func newNews() news { return news{due: make(map[int]bool), renewed: make(map[int]bool)} }

// noteChange records a change. It does not block.
func (o *observer) noteChange(c network.Change) {
	o.mu.Lock()
	nsid := max(c.NSID, observe.Host)
	switch {
	case c.Lost:
		o.news.every, o.news.unheard = true, true
		clear(o.late)
	case c.Ended && o.late[nsid]: // the end of the former namespace
	case c.Ended:
		o.news.due[nsid], o.news.renewed[nsid] = true, true
	default:
		if c.Index == 0 {
			delete(o.late, nsid) // the ID is the new namespace's from here on
		}
		o.news.due[nsid] = true
	}
	o.mu.Unlock()
	poke(o.wakes)
}

// noteAll has everything read again.
func (o *observer) noteAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.news.every, o.news.round = true, true
}

// noteRound has the records completed, and everything read again in case a notification was lost: at
// each resync, or less often if there is much to read and notifications of all namespaces arrive.
func (o *observer) noteRound(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.news.round = true
	o.news.every = o.news.every || !o.a.drift.notified || !now.Before(o.rescanAt)
}

// keepNews has everything read again after an error.
func (o *observer) keepNews(n *news) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.news.every = true
	o.news.unheard, o.news.round = o.news.unheard || n.unheard, o.news.round || n.round
	maps.Copy(o.news.renewed, n.renewed)
}

// noteFresh notes IDs that the agent has assigned. A record with such an ID is of the former
// namespace; the notification of its end must not end the records of the new one.
func (o *observer) noteFresh(n *news, fresh []int) {
	for _, id := range fresh {
		o.late[id] = true
		delete(o.news.renewed, id)
		n.due[id], n.renewed[id] = true, true
	}
}

// readNamespaces reads namespaces again, and reports whether it read any.
func (o *observer) readNamespaces(n *news) (bool, error) {
	assign := o.namespaces.AssignNew
	if n.every {
		assign = o.namespaces.AssignAll
	}
	o.mu.Lock() // no notification of an ID is noted before noteFresh
	fresh, err := assign(time.Now())
	o.noteFresh(n, fresh)
	o.mu.Unlock()
	errs := []error{err}
	if n.every {
		return true, errors.Join(append(errs, o.scanner.ScanAll())...)
	}
	for id := range n.due {
		errs = append(errs, o.scanner.Scan(id))
	}
	return len(n.due) > 0, errors.Join(errs...)
}
