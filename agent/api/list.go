package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"
)

// jsonWriter writes values one by one, so that the whole answer is never in memory. Nothing is
// written before the first value.
type jsonWriter struct {
	w      http.ResponseWriter
	out    *bufio.Writer
	values *json.Encoder
	begun  bool
	err    error
}

func newJSONWriter(w http.ResponseWriter) jsonWriter {
	out := bufio.NewWriterSize(w, 32<<10)
	return jsonWriter{w: w, out: out, values: json.NewEncoder(out)}
}

// addValue writes a text and a value. A reader may take writeTimeout for each piece.
func (l *jsonWriter) addValue(before string, v any) error {
	l.begun = true
	_ = http.NewResponseController(l.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, l.err = l.out.WriteString(before); l.err == nil {
		l.err = l.values.Encode(v)
	}
	return l.err
}

// arrayWriter writes a JSON array element by element.
type arrayWriter struct{ jsonWriter }

func newArrayWriter(w http.ResponseWriter) *arrayWriter { return &arrayWriter{newJSONWriter(w)} }

// addElement writes an element.
func (l *arrayWriter) addElement(v any) error {
	between := ","
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/json")
		between = "["
	}
	return l.addValue(between, v)
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

// lineWriter writes one JSON value a line.
type lineWriter struct{ jsonWriter }

func newLineWriter(w http.ResponseWriter) *lineWriter { return &lineWriter{newJSONWriter(w)} }

// addLine writes a line.
func (l *lineWriter) addLine(v any) error {
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	return l.addValue("", v)
}
