package resident

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// packed is a request as a client writes it.
func packed(args, state string) []byte {
	head := binary.NativeEndian.AppendUint32(nil, uint32(len(args)))
	head = binary.NativeEndian.AppendUint32(head, uint32(len(state)))
	return append(append(head, args...), state...)
}

func TestReadRequest(t *testing.T) {
	q, err := readRequest(bytes.NewReader(packed("berth-hook\x00--state\x00\x00/run\x00", "{}")))
	if want := []string{"--state", "", "/run"}; err != nil || !slices.Equal(q.Args, want) || string(q.State) != "{}" {
		t.Errorf("%q, %q, %v; want %q and {}", q.Args, q.State, err, want)
	}
	for what, wrong := range map[string][]byte{
		"nothing":                       nil,
		"half of the sizes":             packed("a\x00", "")[:6],
		"no arguments":                  packed("", "{}"),
		"arguments without their end":   packed("berth-hook", "{}"),
		"less than it says":             packed("a\x00", "{}")[:11],
		"more arguments than a request": packed(string(make([]byte, MaxArgs+1)), ""),
		"more state than a request":     packed("a\x00", "")[:10:10],
	} {
		if what == "more state than a request" {
			binary.NativeEndian.PutUint32(wrong[4:], maxState+1)
		}
		if q, err := readRequest(bytes.NewReader(wrong)); err == nil {
			t.Errorf("%s: accepted as %q", what, q.Args)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(packed("berth-hook\x00--state\x00/run\x00", "{}"))
	f.Add(packed("\x00", ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := readRequest(bytes.NewReader(data))
		if err != nil {
			return
		}
		args := "x\x00"
		for _, arg := range q.Args {
			args += arg + "\x00"
		}
		again, err := readRequest(bytes.NewReader(packed(args, string(q.State))))
		if err != nil || !slices.Equal(again.Args, q.Args) || !bytes.Equal(again.State, q.State) {
			t.Errorf("%q is read as %q, %v after it was written again", q.Args, again.Args, err)
		}
	})
}
