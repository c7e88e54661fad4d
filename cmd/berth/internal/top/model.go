package top

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"berth/internal/rates"
	"berth/specs"
)

// page is the content of the screen.
type page int

const (
	pageList page = iota
	pageDetails
	pageHelp
)

// Model is the state of the view. It changes only by messages, and the view depends on
// nothing else.
type Model struct {
	look          theme
	ask           asker
	width, height int // of the terminal; 0 until known

	live, shown *state // equal, unless the picture is held
	isHeld      bool

	page   page
	scroll int // first visible line of details or help
	filter string
	typing bool // whether the filter is being typed
	column int  // index in columns of the sorted column
	bits   bool // whether rates are in bits, not in bytes
	turned bool // whether the column's usual order is reversed

	rows     []*rates.Reading // the shown rows, sorted
	cursor   int              // index in rows
	top      int              // index of the first visible row
	moved    bool             // whether the cursor stays with its endpoint, not with its line
	selected rates.Key
}

// asker waits for the agent's messages. Each of its functions waits for one.
type asker interface {
	takeSample() tea.Msg                 // a sampleMsg or lostMsg, at once
	sampleLater(began time.Time) tea.Cmd // a pollMsg, when the next sample is due
	nextViolations() tea.Msg             // an eventsMsg, when there are some
}

type (
	pollMsg   struct{}
	sampleMsg struct {
		began, at time.Time
		status    specs.AgentStatus
		endpoints []specs.Endpoint
	}
	lostMsg struct {
		began, at time.Time
		err       error
	}
	eventsMsg []specs.Event
)

func newModel(l theme, ask asker) Model {
	none := new(state)
	return Model{look: l, ask: ask, live: none, shown: none, column: byReceive}
}

// Init implements tea.Model.
func (m Model) Init() tea.Cmd { return tea.Batch(m.ask.takeSample, m.ask.nextViolations) }

// Update implements tea.Model.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.handleMsg(msg)
	return m, cmd
}

// handleMsg is Update in place.
func (m *Model) handleMsg(msg tea.Msg) tea.Cmd {
	cmd := m.takeData(msg)
	if !m.isHeld {
		m.shown = m.live
	}
	m.arrangeRows()
	return cmd
}

// takeData handles a message.
func (m *Model) takeData(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.pressKey(msg)
	case tea.PasteMsg:
		m.addTyped(msg.Content)
	case pollMsg:
		return m.ask.takeSample
	case sampleMsg:
		m.live = m.live.withSample(msg.at, msg.status, msg.endpoints)
		return m.ask.sampleLater(msg.began)
	case lostMsg:
		m.live = m.live.withMiss(msg.at, msg.err)
		return m.ask.sampleLater(msg.began)
	case eventsMsg:
		m.live = m.live.withEvents(msg)
		return m.ask.nextViolations
	}
	return nil
}

// arrangeRows filters and sorts the rows, and finds the selected one again.
func (m *Model) arrangeRows() {
	words := strings.Fields(strings.ToLower(m.filter))
	m.rows = nil
	for i := range m.shown.readings {
		if r := &m.shown.readings[i]; matchesFilter(r, words) {
			m.rows = append(m.rows, r)
		}
	}
	m.sortRows()
	if m.moved || m.page == pageDetails {
		found := slices.IndexFunc(m.rows, func(r *rates.Reading) bool { return rates.KeyOf(&r.Endpoint) == m.selected })
		if found >= 0 {
			m.cursor = found
		}
	}
	m.pointAt(m.cursor)
}

// pointAt moves the cursor to a line, and scrolls to it.
func (m *Model) pointAt(line int) {
	m.cursor = max(0, min(line, len(m.rows)-1))
	if len(m.rows) > 0 && m.page != pageDetails {
		m.selected = rates.KeyOf(&m.rows[m.cursor].Endpoint)
	}
	height := m.layout().rows
	m.top = max(0, min(m.top, m.cursor, len(m.rows)-height))
	m.top = max(m.top, m.cursor-height+1)
}

// sortRows sorts the rows; equal ones by name.
func (m *Model) sortRows() {
	c := &columns[m.column]
	slices.SortStableFunc(m.rows, func(a, b *rates.Reading) int {
		by := c.order(a, b)
		if c.most != m.turned {
			by = -by
		}
		if by == 0 {
			by = strings.Compare(nameOf(a), nameOf(b))
		}
		if by == 0 {
			by = strings.Compare(a.Interface, b.Interface)
		}
		return by
	})
}

// matchesFilter reports whether an endpoint's names and addresses contain all the words, which
// are in lower case.
func matchesFilter(r *rates.Reading, words []string) bool {
	if len(words) == 0 {
		return true
	}
	about := []string{
		r.ContainerID, r.Name, r.Image, r.Pod, r.Namespace, r.NetworkText(), r.Interface, r.Parent,
		string(r.Mode), string(r.Phase), r.MAC.String(),
	}
	about = append(about, r.Containers...)
	for _, a := range r.Addresses {
		about = append(about, a.String())
	}
	all := strings.ToLower(strings.Join(about, "\x00"))
	for _, w := range words {
		if !strings.Contains(all, w) {
			return false
		}
	}
	return true
}
