package plain

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

type word string

type onPointer struct{ A int }

func (*onPointer) IsZero() bool { return false }

type part struct {
	Name string
	N    int16 `json:"n,omitempty"`
}

// document has members of all kinds that records have, and of some that are not plain.
type document struct {
	Text     string            `json:"text"`
	Word     word              `json:",omitempty"`
	Flag     bool              `json:"flag,omitempty"`
	Small    uint8             `json:",omitempty"`
	Number   int64             `json:"number"`
	Big      uint64            `json:",omitempty"`
	Addr     netip.Addr        `json:",omitzero"`
	Prefixes []netip.Prefix    `json:",omitempty"`
	At       time.Time         `json:",omitzero"`
	Wait     time.Duration     `json:",omitempty"`
	Part     *part             `json:",omitempty"`
	Parts    []part            `json:"parts"`
	Words    []word            `json:",omitempty"`
	Names    map[string]string `json:"names,omitempty"`
	Counts   map[word]uint64   `json:",omitempty"`
	Raw      json.RawMessage   `json:",omitempty"`
	Bytes    []byte            `json:",omitempty"`
	Array    [2]byte           `json:",omitzero"`
	Float    float64           `json:",omitzero"`
	Any      any               `json:",omitempty"`
	Hidden   string            `json:"-"`
}

var plainTexts = []string{
	`{}`, `null`, ` { "text" : "a" , "number" : -12 } `, `{"text":"","number":0,"parts":null}`,
	`{"text":"\"a\\b\"","number":9223372036854775807,"Big":18446744073709551615,"Small":255}`,
	`{"Addr":"192.0.2.1","Prefixes":["192.0.2.0/24","2001:db8::/64"],"At":"2026-11-28T10:00:00.5Z","Wait":5}`,
	`{"Part":{"Name":"x","n":3},"parts":[{"Name":"a"},{"Name":"b","n":-1}],"Words":["a","b"],"parts2":[]}`,
	`{"names":{"b":"1","a":"\u003ctext\u003e","b":"2"},"Counts":{"x":7},"flag":true,"Word":"w"}`,
	`{"other":{"deep":[1,-2,"x",true,false,null,{"a":{}}]},"text":"é","Hidden":"x"}`,
	`{"text":null,"Addr":null,"At":null,"names":null,"Part":null,"parts":[]}`,
}

// Each is decoded by encoding/json, as a part of it is not plain, or refused by it.
var otherTexts = []string{
	``, `{`, `{}}`, `{"text":"a"`, `{"text":"a",}`, `{"TEXT":"a"}`, `{"text":"a","text":"b"}`, `{"text":1}`, `{"number":1.0}`,
	`{"number":1e3}`, `{"number":01}`, `{"Small":256}`, `{"number":9223372036854775808}`, `{"text":"\u00e9"}`, `{"text":"\/"}`,
	`{"text":"\ud800"}`, "{\"text\":\"\xff\"}", "{\"text\":\"\n\"}", `{"Addr":"x"}`, `{"Addr":1}`, `{"At":"x"}`, `{"Raw":{}}`,
	`{"Bytes":"AA=="}`, `{"Array":[1,2]}`, `{"Float":1}`, `{"Any":1}`, `{"part":{}}`, `[]`, `{"other":1.5}`, `{"ſext":1,"flag":True}`,
	`{"Part":{"Name":"a","name":"b"}}`, `{"names":{"a":1}}`, `{"text":"a"} x`, `{"other":"\x"}`, `{"names":[]}`, `{"parts":{}}`,
}

// compare checks that Unmarshal has the result of encoding/json, and Marshal too for the result.
// It returns whether the text and its value are plain.
func compare(t *testing.T, data []byte) (decoded, encoded bool) {
	t.Helper()
	got, want, tried := new(document), new(document), new(document)
	errGot, errWant := Unmarshal(data, got), json.Unmarshal(data, want)
	if (errGot == nil) != (errWant == nil) || !reflect.DeepEqual(got, want) {
		t.Errorf("%q: decoded as %+v, %v; encoding/json: %+v, %v", data, got, errGot, want, errWant)
	}
	if decoded = Decode(data, tried); !decoded && !reflect.DeepEqual(tried, new(document)) {
		t.Errorf("%q: refused, and the value changed to %+v", data, tried)
	} else if decoded && errWant != nil {
		t.Errorf("%q: decoded; encoding/json: %v", data, errWant)
	}
	out, errOut := Marshal(want)
	expected, errExpected := json.Marshal(want)
	if string(out) != string(expected) || (errOut == nil) != (errExpected == nil) {
		t.Errorf("%+v: encoded as %s, %v; encoding/json: %s, %v", want, out, errOut, expected, errExpected)
	}
	_, encoded = Encode(want)
	return decoded, encoded
}

func TestPlainTexts(t *testing.T) {
	for _, text := range plainTexts {
		if decoded, _ := compare(t, []byte(text)); !decoded {
			t.Errorf("%s is left to encoding/json", text)
		}
	}
	for _, text := range otherTexts {
		if decoded, _ := compare(t, []byte(text)); decoded {
			t.Errorf("%s is decoded as plain", text)
		}
	}
}

func TestEncodeIsUsed(t *testing.T) {
	for _, text := range plainTexts[:7] {
		if _, encoded := compare(t, []byte(text)); !encoded {
			t.Errorf("the value of %s is left to encoding/json", text)
		}
	}
	for _, v := range []any{
		document{Float: 1}, &document{Bytes: []byte{1}}, map[int]string{1: "a"}, struct{ part }{}, []any{1}, nil,
		struct{ A, B string }{"é", "\u2028"}, struct {
			A int `json:",string"`
		}{1}, json.Number("1"), struct{ N json.Number }{""}, struct{ N json.Number }{"x"}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), (*document)(nil), []string(nil), "a\x00\x1f\x7f<&>\b\f",
		struct {
			A int `json:"a"`
			B int `json:"A"`
		}{1, 2}, struct{ At *time.Time }{}, [1]int{}, struct {
			A time.Time  `json:",omitzero"`
			B *time.Time `json:",omitzero"`
			C part       `json:",omitzero"`
			D onPointer  `json:",omitzero"`
		}{B: new(time.Time)},
	} {
		got, errGot := Marshal(v)
		want, errWant := json.Marshal(v)
		if string(got) != string(want) || (errGot == nil) != (errWant == nil) {
			t.Errorf("%+v: %s, %v; encoding/json: %s, %v", v, got, errGot, want, errWant)
		}
	}
}

// TestNumberAsText leaves json.Number, which is text in Go and a number in JSON, to encoding/json.
func TestNumberAsText(t *testing.T) {
	type holder struct{ N json.Number }
	for _, text := range []string{`{"N":"1"}`, `{"N":"x"}`, `{"N":1.5}`, `{"N":null}`} {
		var got, want holder
		errGot, errWant := Unmarshal([]byte(text), &got), json.Unmarshal([]byte(text), &want)
		if got != want || (errGot == nil) != (errWant == nil) {
			t.Errorf("%s: %+v, %v; encoding/json: %+v, %v", text, got, errGot, want, errWant)
		}
	}
}

// TestDecodeWantsZero decodes into a value that is not zero, which encoding/json merges.
func TestDecodeWantsZero(t *testing.T) {
	v := &document{Text: "before"}
	if Decode([]byte(`{"number":1}`), v) {
		t.Error("decoded into a value that is not zero")
	}
	if err := Unmarshal([]byte(`{"number":1}`), v); err != nil || v.Text != "before" || v.Number != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, text := range append(plainTexts, otherTexts...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data) })
}
