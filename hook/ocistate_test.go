package hook

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"berth/internal/plain"
)

func TestReadState(t *testing.T) {
	st, err := ReadState(strings.NewReader(`{"id":"c1","pid":7,"status":"creating","bundle":"/","root":"/x","annotations":{"a":"b"}}`))
	if err != nil || st.ID != "c1" || st.Pid != 7 || st.Annotations["a"] != "b" {
		t.Fatalf("state %+v, %v", st, err)
	}
	for in, want := range map[string]string{
		"":         `standard input "": want the container's state as JSON`,
		"not json": `standard input "not json": want the container's state as JSON`,
		"[1]":      `want the container's state as JSON (the state cannot be a value as array)`,
		"{}":       `state.id "": want a container's id of 1 to 255 bytes`,

		`{"id":"web","pid":"7"}`:                     "want the container's state as JSON (pid cannot be a value as string)",
		`{"id":"web","pid":7.0}`:                     "(pid cannot be a value as number 7.0)",
		"{\"id\":\"web\xff\"}":                       "want a container's id of 1 to 255 bytes in UTF-8",
		"{\"ID\":\"web\xfe\"}":                       "want a container's id of 1 to 255 bytes in UTF-8",
		"{\"id\":\"a\",\"id\":\"\xfe\"}":             "want a container's id of 1 to 255 bytes in UTF-8",
		`{"id":"web\ud800"}`:                         "want a container's id of 1 to 255 bytes in UTF-8",
		"{\"id\":\"web\u202e\x00\"}":                 "want the container's state as JSON",
		`{"id":"x"}` + strings.Repeat(" ", MaxState): `want a container's state of at most 1048576 bytes`,
		`{"id":"` + strings.Repeat("x", 256) + `"}`:  `want a container's id of 1 to 255 bytes`,
	} {
		if _, err := ReadState(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: error %v, want %s", in, err, want)
		}
	}
}

// Bytes that are not UTF-8 are refused in the id alone, not in other keys.
func TestReadStateWithOtherBytes(t *testing.T) {
	st, err := ReadState(strings.NewReader("{\"id\":\"web\u00e9\",\"annotations\":{\"a\":\"\xff\"}}"))
	if err != nil || st.ID != "web\u00e9" {
		t.Errorf("state %+v, %v", st, err)
	}
}

// The states of docker, nerdctl and podman need no encoding/json, which costs more than the state.
func TestUsualStatesArePlain(t *testing.T) {
	for _, text := range []string{
		`{"ociVersion":"1.2.0","id":"c0ffee","status":"creating","pid":12,"bundle":"/run/b","annotations":{"berth/networks":"lan"}}`,
		`{"ociVersion":"1.2.0","id":"c0ffee","status":"creating","pid":12,"bundle":"/run/b","annotations":{"nerdctl/networks":"[\"bridge\"]",` +
			`"nerdctl/ports":"[]","berth/networks":"lan","org.opencontainers.image.title":"é"}}`,
		`{ "ociVersion": "1.0", "id": "c0ffee", "pid": 12, "root": "/r", "bundle": "/b", "systemd-scope": "x", "status": "created",` +
			"\n" + `"created": "2026-11-28T10:00:00.5Z", "owner": "", "annotations": { "run.oci.handler": "" } }`,
	} {
		if !plain.Decode([]byte(text), new(State)) {
			t.Errorf("%s is decoded by encoding/json", text)
		}
	}
}

// A caller that leaves standard input open does not hold the hook forever.
func TestStandardInputWithoutEnd(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = io.WriteString(w, `{"id":"c1"`) }() // the reader may have ended
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	h := new(Hook)
	err := h.Run(ctx, Poststop, r)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("error %v, want the deadline's that names standard input", err)
	}
	if !h.Stopping() {
		t.Error("a poststop is not known as one")
	}
}

// For any input, the resulting state has a valid id and no more than the input
// had.
func FuzzReadState(f *testing.F) {
	f.Add(`{"id":"c1","pid":7,"status":"creating","annotations":{"berth/networks":"lan"}}`)
	f.Add(`{"id":"c1","pid":0,"status":"stopped"}`)
	f.Add(`{"id":1}`)
	f.Fuzz(func(t *testing.T, in string) {
		st, err := ReadState(strings.NewReader(in))
		if err == nil && (st.ID == "" || len(st.ID) > maxID || len(in) > MaxState) {
			t.Fatalf("state %+v of %d bytes", st, len(in))
		}
	})
}
