package daemon

import (
	"errors"
	"maps"
	"time"

	"berth/agent/observe"
	"berth/network"
)

// manyLinks is the number of changed links of a namespace from which on reading all its links is
// cheaper than reading each.
const manyLinks = 64

// news is the part of the namespaces that must be read again.
type news struct {
	due     changedLinks
	renewed map[int]bool // IDs whose namespace has ended
	every   bool         // whether anything may have changed
	unheard bool         // whether notifications were lost
	round   bool         // whether records are to be completed
}

func newNews() news { return news{due: make(changedLinks), renewed: make(map[int]bool)} }

// changedLinks has the indexes of the links that have changed, by the NSID of their namespace; the
// index 0 is for all of its links.
type changedLinks map[int]map[int]bool

func (c changedLinks) note(nsid, index int) {
	if c[nsid] == nil {
		c[nsid] = make(map[int]bool)
	}
	c[nsid][index] = true
}

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
		o.news.due.note(nsid, 0)
		o.news.renewed[nsid] = true
	default:
		if c.Index == 0 {
			delete(o.late, nsid) // the ID is the new namespace's from here on
		}
		o.news.due.note(nsid, c.Index)
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

// keepNews has the same read again after an error.
func (o *observer) keepNews(n *news) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.news.every = o.news.every || n.every
	for nsid := range n.due {
		o.news.due.note(nsid, 0)
	}
	o.news.unheard, o.news.round = o.news.unheard || n.unheard, o.news.round || n.round
	maps.Copy(o.news.renewed, n.renewed)
}

// noteFresh notes IDs that the agent has assigned. A record with such an ID is of the former
// namespace; the notification of its end must not end the records of the new one.
func (o *observer) noteFresh(n *news, fresh []int) {
	for _, id := range fresh {
		o.late[id] = true
		delete(o.news.renewed, id)
		n.due.note(id, 0)
		n.renewed[id] = true
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
	if n.every = n.every || err != nil; n.every {
		return true, errors.Join(append(errs, o.scanner.ScanAll())...)
	}
	for id, links := range n.due {
		errs = append(errs, o.readChanged(id, links))
	}
	return len(n.due) > 0, errors.Join(errs...)
}

// readChanged reads the links of a namespace that have changed.
func (o *observer) readChanged(nsid int, links map[int]bool) error {
	if links[0] || len(links) >= manyLinks {
		return o.scanner.Scan(nsid)
	}
	var errs []error
	for index := range links {
		errs = append(errs, o.scanner.ScanLink(nsid, index))
	}
	return errors.Join(errs...)
}
