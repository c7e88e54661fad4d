package top

import (
	"slices"
	"strings"

	"berth/internal/rates"
)

// point is an endpoint's traffic in one interval, in bytes a second.
type point struct {
	rx, tx float32
	gap    bool // not known
}

func pointOf(r *rates.Reading) point {
	return point{rx: float32(r.Rates.Receive.Total().Bytes), tx: float32(r.Rates.Transmit.Total().Bytes), gap: r.Over == 0}
}

// trail holds the last intervals, the oldest first.
type trail []point

// addPoint returns a trail with one more point, without its oldest if it is full.
func (t trail) addPoint(p point) trail {
	return append(slices.Clone(t[max(0, len(t)+1-trailLength):]), p)
}

func (p point) total() float32       { return p.rx + p.tx }
func (p point) received() float32    { return p.rx }
func (p point) transmitted() float32 { return p.tx }

// peakOf returns the greatest value of a trail.
func (t trail) peakOf(value func(point) float32) (most float32) {
	for _, p := range t {
		most = max(most, value(p))
	}
	return most
}

// sparkline draws the last width points with a glyph each, the newest at the right. levels are
// the glyphs from none to the trail's own peak; a gap is a blank.
func (t trail) sparkline(width int, levels string, value func(point) float32) string {
	glyphs := []rune(levels)
	t = t[max(0, len(t)-max(0, width)):]
	most := t.peakOf(value)
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", max(0, width-len(t))))
	for _, p := range t {
		switch v := value(p); {
		case p.gap:
			b.WriteByte(' ')
		case v <= 0:
			b.WriteRune(glyphs[0])
		default:
			top := len(glyphs) - 1
			b.WriteRune(glyphs[min(top, 1+int(v/most*float32(top)-0.001))])
		}
	}
	return b.String()
}
