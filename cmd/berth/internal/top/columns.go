package top

import (
	"cmp"
	"strings"

	"berth/internal/rates"
	"berth/internal/text"
	"berth/specs"
)

// column is a column of the endpoints' table.
type column struct {
	title string
	width int  // minimum, in columns of the terminal
	rank  int  // columns with a greater rank are dropped first on a narrow terminal
	right bool // whether it is right-aligned, as numbers are
	most  bool // whether the greatest value comes first
	cell  func(*Model, *rates.Reading) string
	draw  func(m *Model, r *rates.Reading, width int) string // used instead of cell, to fill the column
	order func(a, b *rates.Reading) int                      // nil if it cannot be sorted by
}

// byReceive is the index of the column that the table is sorted by at first.
const byReceive = 4

// columns are all columns of endpoints. The first takes the rest of the terminal's width,
// up to nameMost; then the others grow.
var columns = []column{
	{title: "CONTAINER", width: 12, cell: nameCell, order: byText(nameOf)},
	{title: "NETWORK@IF", width: 11, rank: 3, cell: textCell(placeOf), order: byText(placeOf)},
	{title: "ADDRESS", width: 15, rank: 6, cell: textCell(addressOf), order: byAddress},
	{title: "PARENT", width: 8, rank: 7, cell: textCell(parentOf), order: byText(parentOf)},
	{title: "RX/s", width: 8, right: true, most: true, cell: bytesCell(rxBytes), order: byNumber(rxBytes)},
	{title: "TX/s", width: 8, right: true, most: true, cell: bytesCell(txBytes), order: byNumber(txBytes)},
	{title: "RX P/s", width: 7, rank: 2, right: true, most: true, cell: rateCell(rxPackets), order: byNumber(rxPackets)},
	{title: "TX P/s", width: 7, rank: 2, right: true, most: true, cell: rateCell(txPackets), order: byNumber(txPackets)},
	{title: "RX", width: 8, rank: 5, right: true, most: true, cell: totalCell(receivedBytes),
		order: byNumber(receivedBytes)},
	{title: "TX", width: 8, rank: 5, right: true, most: true, cell: totalCell(transmittedBytes),
		order: byNumber(transmittedBytes)},
	{title: "HISTORY", width: 12, rank: 4, draw: historyCell},
	{title: "VIOL", width: 5, rank: 1, right: true, most: true, cell: violationsCell, order: byNumber(violationCount)},
}

// nameMost is the width of a container's name from which on other columns grow.
const nameMost = 42

// grown are the columns that grow on a wide terminal, in this order, and their maximum
// widths: an IPv6 address, and a whole trail.
var grown = []struct {
	title string
	most  int
}{{"HISTORY", 30}, {"ADDRESS", 39}, {"NETWORK@IF", 24}, {"PARENT", 15}, {"HISTORY", trailLength}}

// visibleColumns returns the columns that fit in width, and their widths.
func visibleColumns(width int) (shown, widths []int) {
	shown, first := inRoom(width)
	for i, c := range shown {
		widths = append(widths, columns[c].width)
		if i == 0 {
			widths[0] = first
		}
	}
	for _, g := range grown {
		for i, c := range shown {
			if by := min(widths[0]-nameMost, g.most-widths[i]); i > 0 && columns[c].title == g.title && by > 0 {
				widths[i], widths[0] = widths[i]+by, widths[0]-by
			}
		}
	}
	return shown, widths
}

// inRoom returns the columns that fit in width, and the width of the first if the others
// have their minimum.
func inRoom(width int) (shown []int, first int) {
	for rank := 9; rank >= 0; rank-- {
		shown, first = shown[:0], width
		for i := range columns {
			if columns[i].rank <= rank {
				shown = append(shown, i)
				if i > 0 {
					first -= 1 + columns[i].width
				}
			}
		}
		if first >= columns[0].width {
			break
		}
	}
	return shown, max(0, first)
}

func nameOf(r *rates.Reading) string {
	if r.Name != "" {
		return r.Name
	}
	return text.ShortID(r.ContainerID)
}

func nameCell(_ *Model, r *rates.Reading) string {
	if r.Phase == specs.PhaseEnded {
		return "(ended) " + nameOf(r)
	}
	if r.Origin == specs.OriginObserved {
		return nameOf(r) + " (observed)"
	}
	return nameOf(r)
}

func placeOf(r *rates.Reading) string { return cmp.Or(r.NetworkText(), "-") + "@" + r.Interface }

func parentOf(r *rates.Reading) string { return r.Parent }

func addressOf(r *rates.Reading) string {
	if len(r.Addresses) == 0 {
		return "-"
	}
	return r.Addresses[0].Addr().String()
}

func rxBytes(r *rates.Reading) float64          { return r.Rates.Receive.Total().Bytes }
func txBytes(r *rates.Reading) float64          { return r.Rates.Transmit.Total().Bytes }
func rxPackets(r *rates.Reading) float64        { return r.Rates.Receive.Total().Packets }
func txPackets(r *rates.Reading) float64        { return r.Rates.Transmit.Total().Packets }
func receivedBytes(r *rates.Reading) float64    { return float64(r.Counters.Receive.Total().Bytes) }
func transmittedBytes(r *rates.Reading) float64 { return float64(r.Counters.Transmit.Total().Bytes) }

func violationCount(r *rates.Reading) (n float64) {
	for _, of := range r.Violations {
		n += float64(of)
	}
	return n
}

func textCell(of func(*rates.Reading) string) func(*Model, *rates.Reading) string {
	return func(_ *Model, r *rates.Reading) string { return of(r) }
}

func rateCell(of func(*rates.Reading) float64) func(*Model, *rates.Reading) string {
	return func(_ *Model, r *rates.Reading) string {
		if r.Over == 0 {
			return "-"
		}
		return numberText(of(r))
	}
}

func bytesCell(of func(*rates.Reading) float64) func(*Model, *rates.Reading) string {
	return func(m *Model, r *rates.Reading) string {
		if r.Over == 0 {
			return "-"
		}
		return m.rateText(of(r))
	}
}

// rateText returns a rate in bytes a second, or in bits.
func (m *Model) rateText(bytes float64) string { return text.Rate(bytes, m.bits) }

func totalCell(of func(*rates.Reading) float64) func(*Model, *rates.Reading) string {
	return func(_ *Model, r *rates.Reading) string {
		if !r.Counted {
			return "-"
		}
		return bytesText(of(r))
	}
}

func historyCell(m *Model, r *rates.Reading, width int) string {
	return m.shown.trails[rates.KeyOf(&r.Endpoint)].sparkline(width, m.look.levels, point.total)
}

func violationsCell(_ *Model, r *rates.Reading) string {
	if n := violationCount(r); n > 0 {
		return numberText(n)
	}
	return ""
}

func byText(of func(*rates.Reading) string) func(a, b *rates.Reading) int {
	return func(a, b *rates.Reading) int { return strings.Compare(of(a), of(b)) }
}

func byNumber(of func(*rates.Reading) float64) func(a, b *rates.Reading) int {
	return func(a, b *rates.Reading) int { return cmp.Compare(of(a), of(b)) }
}

// byAddress sorts addresses as numbers, and endpoints without one last.
func byAddress(a, b *rates.Reading) int {
	switch {
	case len(a.Addresses) == 0 || len(b.Addresses) == 0:
		return len(b.Addresses) - len(a.Addresses)
	}
	return a.Addresses[0].Addr().Compare(b.Addresses[0].Addr())
}
