package top

import (
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// filterMost bounds the filter's length, in characters.
const filterMost = 100

// pressKey handles a key.
func (m *Model) pressKey(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case key == "ctrl+z":
		return tea.Suspend
	case m.typing:
		m.editFilter(key, msg.Text)
		return nil
	case key == "q":
		return tea.Quit
	case key == "p" || key == "space":
		m.isHeld = !m.isHeld
	case m.page == pageList:
		m.browseKey(key)
	default:
		m.readPageKey(key)
	}
	return nil
}

// editFilter handles a key while the filter is typed.
func (m *Model) editFilter(key, text string) {
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
		m.addTyped(text)
	}
}

// addTyped adds letters to the filter.
func (m *Model) addTyped(text string) {
	if !m.typing {
		return
	}
	for _, r := range text {
		if unicode.IsPrint(r) && len(m.filter) < filterMost {
			m.filter += string(r)
		}
	}
}

// browseKey handles a key on the list.
func (m *Model) browseKey(key string) {
	switch key {
	case "?", "h":
		m.openPage(pageHelp)
	case "enter":
		if len(m.rows) > 0 {
			m.openPage(pageDetails)
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
		m.moveCursor(key)
	}
}

// moveCursor handles a key that moves the cursor.
func (m *Model) moveCursor(key string) {
	by, ok := m.stepsOf(key)
	if !ok {
		return
	}
	m.moved = key != "home" && key != "g"
	m.pointAt(m.cursor + by)
}

// stepsOf returns the number of lines that a key moves up or down.
func (m *Model) stepsOf(key string) (by int, ok bool) {
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

// readPageKey handles a key on a page of text.
func (m *Model) readPageKey(key string) {
	switch key {
	case "esc", "enter", "left", "backspace", "?", "h":
		m.page = pageList
	default:
		by, _ := m.stepsOf(key)
		m.scroll = max(0, min(m.scroll+by, len(m.pageText())-m.textHeight()))
	}
}

func (m *Model) openPage(p page) { m.page, m.scroll = p, 0 }

// sortBy sorts by the next visible column that can be sorted by.
func (m *Model) sortBy(step int) {
	shown, _ := inRoom(m.width - gutter)
	shown = slices.DeleteFunc(shown, func(i int) bool { return columns[i].order == nil })
	at := slices.Index(shown, m.column)
	m.column = shown[(at+step+len(shown))%len(shown)]
	m.turned, m.moved = false, false
	m.cursor, m.top = 0, 0
}
