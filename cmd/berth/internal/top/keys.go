package top

import (
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// filterMost bounds the filter's length, in characters.
const filterMost = 100

// press handles a key.
func (m *Model) press(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case key == "ctrl+z":
		return tea.Suspend
	case m.typing:
		m.edit(key, msg.Text)
		return nil
	case key == "q":
		return tea.Quit
	case key == "p" || key == "space":
		m.held = !m.held
	case m.page == pageList:
		m.browse(key)
	default:
		m.read(key)
	}
	return nil
}

// edit handles a key while the filter is typed.
func (m *Model) edit(key, text string) {
	switch key {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		if letters := []rune(m.filter); len(letters) > 0 {
			m.filter = string(letters[:len(letters)-1])
		}
	case "ctrl+u":
		m.filter = ""
	case "ctrl+w":
		words := strings.TrimRight(m.filter, " ")
		m.filter = words[:strings.LastIndexByte(words, ' ')+1]
	default:
		m.typed(text)
	}
}

// typed adds letters to the filter.
func (m *Model) typed(text string) {
	if !m.typing {
		return
	}
	for _, r := range text {
		if unicode.IsPrint(r) && len(m.filter) < filterMost {
			m.filter += string(r)
		}
	}
}

// browse handles a key on the list.
func (m *Model) browse(key string) {
	switch key {
	case "?", "h":
		m.open(pageHelp)
	case "enter":
		if len(m.rows) > 0 {
			m.open(pageDetails)
		}
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
	case "r":
		m.turned = !m.turned
	case "b":
		m.bits = !m.bits
	case ">", "right", "s":
		m.sortBy(1)
	case "<", "left":
		m.sortBy(-1)
	default:
		m.move(key)
	}
}

// move handles a key that moves the cursor.
func (m *Model) move(key string) {
	by, ok := m.steps(key)
	if !ok {
		return
	}
	m.moved = key != "home" && key != "g"
	m.point(m.cursor + by)
}

// steps returns the number of lines that a key moves up or down.
func (m *Model) steps(key string) (by int, ok bool) {
	const all = 1 << 30
	switch key {
	case "up", "k":
		return -1, true
	case "down", "j":
		return 1, true
	case "pgup":
		return -max(1, m.layout().rows-1), true
	case "pgdown":
		return max(1, m.layout().rows-1), true
	case "home", "g":
		return -all, true
	case "end", "G":
		return all, true
	}
	return 0, false
}

// read handles a key on a page of text.
func (m *Model) read(key string) {
	switch key {
	case "esc", "enter", "left", "backspace", "?", "h":
		m.page = pageList
	default:
		by, _ := m.steps(key)
		m.scroll = max(0, min(m.scroll+by, len(m.text())-m.textHeight()))
	}
}

func (m *Model) open(p page) { m.page, m.scroll = p, 0 }

// sortBy sorts by the next visible column that can be sorted by.
func (m *Model) sortBy(step int) {
	shown, _ := inRoom(m.width - gutter)
	shown = slices.DeleteFunc(shown, func(i int) bool { return columns[i].order == nil })
	at := slices.Index(shown, m.column)
	m.column = shown[(at+step+len(shown))%len(shown)]
	m.turned, m.moved = false, false
	m.cursor, m.top = 0, 0
}
