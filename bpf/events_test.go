package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"berth/specs"
)

// encodeEvent is the inverse of DecodeEvent.
func encodeEvent(t testing.TB, e event) []byte {
	t.Helper()
	record, err := binary.Append(nil, binary.NativeEndian, e)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func TestDecodeEvent(t *testing.T) {
	t.Parallel()
	raw := event{
		Time: 5e9, Cookie: 77, LeftOut: 3, IfIndex: 4, VLAN: 100, Sender: 1, Owner: 2, Receiver: 3, Counted: 2, Dropped: 1, Length: 1500,
		Captured: 3, Certainty: 1, Evidence: 1, Direction: 1, Bytes: [eventBytes]byte{1, 2, 3, 4},
	}
	got, err := DecodeEvent(encodeEvent(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	if got.Kind != specs.MACSpoof || got.Certainty != specs.Suspected || got.Evidence != "source-address" || got.Direction != "egress" {
		t.Errorf("words are wrong: %+v", got)
	}
	if got.Boot != 5*time.Second || got.Cookie != 77 || got.LeftOut != 3 || got.ParentIndex != 4 || got.VLAN != 100 ||
		got.Sender != 1 || got.Owner != 2 || got.Receiver != 3 || got.Counted != 2 || !got.Dropped || got.Length != 1500 {
		t.Errorf("numbers are wrong: %+v", got)
	}
	if !bytes.Equal(got.Bytes, []byte{1, 2, 3}) {
		t.Errorf("bytes %x, want 010203", got.Bytes)
	}
}

func TestDecodeEventRefuses(t *testing.T) {
	t.Parallel()
	for name, record := range map[string][]byte{
		"nothing":           nil,
		"a byte too short":  encodeEvent(t, event{})[:eventSize-1],
		"unknown kind":      encodeEvent(t, event{Kind: uint8(len(specs.Kinds()))}),
		"unknown certainty": encodeEvent(t, event{Certainty: 2}),
		"unknown evidence":  encodeEvent(t, event{Evidence: evidences}),
		"unknown direction": encodeEvent(t, event{Direction: 2}),
		"too many bytes":    encodeEvent(t, event{Captured: eventBytes + 1}),
	} {
		if e, err := DecodeEvent(record); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// FuzzDecodeEvent checks that every record that decodes is a valid violation of specs, with
// its bytes from the record.
func FuzzDecodeEvent(f *testing.F) {
	f.Add(encodeEvent(f, event{}))
	f.Add(encodeEvent(f, event{Captured: eventBytes, Kind: 255}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := DecodeEvent(record)
		if err != nil {
			return
		}
		if !slices.Contains(specs.Kinds(), e.Kind) || e.Direction == "" || e.Evidence == "" || e.Certainty == "" {
			t.Errorf("not a violation: %+v", e)
		}
		if at := eventSize - eventBytes; len(e.Bytes) > eventBytes || !bytes.Equal(e.Bytes, record[at:at+len(e.Bytes)]) {
			t.Errorf("%d bytes, not those of the record", len(e.Bytes))
		}
	})
}
