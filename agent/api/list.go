package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"
)

// arrayWriter writes a JSON array element by element, so that the whole is never in memory.
// Nothing is written before the first element or the end.
type arrayWriter struct {
	w     http.ResponseWriter
	out   *bufio.Writer
	lines *json.Encoder
	begun bool
	err   error
}

func newArrayWriter(w http.ResponseWriter) *arrayWriter {
	out := bufio.NewWriterSize(w, 32<<10)
	return &arrayWriter{w: w, out: out, lines: json.NewEncoder(out)}
}

// addElement writes an element. A reader may take writeTimeout for each piece.
func (l *arrayWriter) addElement(v any) error {
	between := ","
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/json")
		between = "["
	}
	l.begun = true
	_ = http.NewResponseController(l.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, l.err = l.out.WriteString(between); l.err == nil {
		l.err = l.lines.Encode(v)
	}
	return l.err
}

// endArray closes the array. It ignores errors, as the reader may be gone.
func (l *arrayWriter) endArray() {
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/json")
		l.out.WriteString("[")
	}
	l.out.WriteString("]\n")
	l.out.Flush()
}
