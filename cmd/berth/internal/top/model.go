package top

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"berth/cmd/berth/internal/rates"
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
	look          look
	ask           asker
	width, height int // of the terminal; 0 until known

	live, shown *state // equal, unless the picture is held
	held        bool

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
	sample() tea.Msg               // a sampleMsg or lostMsg, at once
	later(began time.Time) tea.Cmd // a pollMsg, when the next sample is due
	violations() tea.Msg           // an eventsMsg, when there are some
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

func newModel(l look, ask asker) Model {
	none := new(state)
	return Model{look: l, ask: ask, live: none, shown: none, column: byReceive}
}

// Init implements tea.Model.
func (m Model) Init() tea.Cmd { return tea.Batch(m.ask.sample, m.ask.violations) }

// Update implements tea.Model.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.step(msg)
	return m, cmd
}

// step is Update in place.
func (m *Model) step(msg tea.Msg) tea.Cmd {
	cmd := m.take(msg)
	if !m.held {
		m.shown = m.live
	}
	m.arrange()
	return cmd
}

// take handles a message.
func (m *Model) take(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.PasteMsg:
		m.typed(msg.Content)
	case pollMsg:
		return m.ask.sample
	case sampleMsg:
		m.live = m.live.sampled(msg.at, msg.status, msg.endpoints)
		return m.ask.later(msg.began)
	case lostMsg:
		m.live = m.live.missed(msg.at, msg.err)
		return m.ask.later(msg.began)
	case eventsMsg:
		m.live = m.live.saw(msg)
		return m.ask.violations
	}
	return nil
}

// arrange filters and sorts the rows, and finds the selected one again.
func (m *Model) arrange() {
	words := strings.Fields(strings.ToLower(m.filter))
	m.rows = nil
	for i := range m.shown.readings {
		if r := &m.shown.readings[i]; matches(r, words) {
			m.rows = append(m.rows, r)
		}
	}
	m.sort()
	if m.moved || m.page == pageDetails {
		found := slices.IndexFunc(m.rows, func(r *rates.Reading) bool { return rates.KeyOf(&r.Endpoint) == m.selected })
		if found >= 0 {
			m.cursor = found
		}
	}
	m.point(m.cursor)
}

// point moves the cursor to a line, and scrolls to it.
func (m *Model) point(line int) {
	m.cursor = max(0, min(line, len(m.rows)-1))
	if len(m.rows) > 0 && m.page != pageDetails {
		m.selected = rates.KeyOf(&m.rows[m.cursor].Endpoint)
	}
	height := m.layout().rows
	m.top = max(0, min(m.top, m.cursor, len(m.rows)-height))
	m.top = max(m.top, m.cursor-height+1)
}

// sort sorts the rows; equal ones by name.
func (m *Model) sort() {
	c := &columns[m.column]
	slices.SortStableFunc(m.rows, func(a, b *rates.Reading) int {
		by := c.order(a, b)
		if c.most != m.turned {
			by = -by
		}
		if by == 0 {
			by = strings.Compare(name(a), name(b))
		}
		if by == 0 {
			by = strings.Compare(a.Interface, b.Interface)
		}
		return by
	})
}

// matches reports whether an endpoint's names and addresses contain all the words, which
// are in lower case.
func matches(r *rates.Reading, words []string) bool {
	if len(words) == 0 {
		return true
	}
	about := []string{
		r.ContainerID, r.Name, r.Image, r.Pod, r.Namespace, r.Network, r.Interface, r.Parent,
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
