package state

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/internal/plain"
	"berth/specs"
)

// samples are values of the types that are not filled by their kind.
var samples = []any{
	netip.MustParseAddr("192.0.2.9"), netip.MustParsePrefix("192.0.2.0/24"), time.Unix(1700000000, 5).UTC(),
	specs.Macvlan, specs.ModeBridge, specs.FlagPrivate, specs.IPv6SLAAC, specs.MACSpoof, specs.AllowRouter, specs.PhaseAttached,
	specs.MAC{2, 0, 0, 0, 0, 1},
}

// fillValue sets a value, and all below it, to something else than zero.
func fillValue(t testing.TB, v reflect.Value) {
	t.Helper()
	for _, s := range samples {
		if v.Type() == reflect.TypeOf(s) {
			v.Set(reflect.ValueOf(s))
			return
		}
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("<text>")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillValue(t, v.Index(0))
		fillValue(t, v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			fillValue(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillValue(t, key)
		fillValue(t, value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(t, v.Field(i))
		}
	default:
		t.Fatalf("%s: no sample", v.Type())
	}
}

// TestRecordIsPlainJSON encodes and decodes attachments with each member alone and with all
// of them, by turns with encoding/json.
func TestRecordIsPlainJSON(t *testing.T) {
	t.Parallel()
	full := new(Attachment)
	fillValue(t, reflect.ValueOf(full).Elem())
	all := []*Attachment{{}, full}
	for i := range reflect.TypeOf(*full).NumField() {
		one := new(Attachment)
		reflect.ValueOf(one).Elem().Field(i).Set(reflect.ValueOf(full).Elem().Field(i))
		all = append(all, one)
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	for _, a := range all {
		standard, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		text, err := encodeAttachment(a)
		if err != nil {
			t.Fatal(err)
		}
		want, read := new(Attachment), new(Attachment)
		if err := json.Unmarshal(standard, want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, read); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		decoded, err := decodeAttachment("k", standard)
		if err != nil {
			t.Errorf("%s: %v", standard, err)
		}
		if len(text) != len(standard) {
			t.Errorf("encoded as %s, want the members of %s", text, standard)
		}
		if diff := cmp.Diff(want, read, same, prefixes); diff != "" {
			t.Errorf("encoded: %s", diff)
		}
		if diff := cmp.Diff(want, decoded, same, prefixes); diff != "" {
			t.Errorf("decoded: %s", diff)
		}
	}
}

// usual is an attachment as most are: with an address of a pool, and a request by name.
func usual() *Attachment {
	return &Attachment{
		Cookie: 4711, NSID: 3, Containers: []string{"c0ffee"}, Annotations: map[string]string{"io.kubernetes.pod.name": "web"},
		Network: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", ParentIndex: 2,
		Interface: "net1", LinkIndex: 5, MAC: specs.MAC{2, 0, 0, 0, 0, 1}, MTU: 1500,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/24")}, Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Slot: 7, Phase: specs.PhaseAttached, Created: time.Unix(1700000000, 5).UTC(), Selection: `{"name":"lan"}#0`,
	}
}

// TestUsualRecordIsPlain requires that the record of a usual attachment needs no encoding/json,
// which costs berth-hook more than the record.
func TestUsualRecordIsPlain(t *testing.T) {
	t.Parallel()
	text, ok := plain.Encode(usual())
	if !ok {
		t.Fatalf("encoded by encoding/json from %s on", text)
	}
	got := new(Attachment)
	if !plain.Decode(text, got) {
		t.Errorf("%s is decoded by encoding/json", text)
	}
	if !reflect.DeepEqual(got, usual()) {
		t.Errorf("%+v", got)
	}
}

// FuzzRecord decodes records as encoding/json does.
func FuzzRecord(f *testing.F) {
	full := new(Attachment)
	fillValue(f, reflect.ValueOf(full).Elem())
	for _, a := range []*Attachment{{}, usual(), full} {
		text, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, want := new(Attachment), new(Attachment)
		if !plain.Decode(data, got) {
			return
		}
		if err := json.Unmarshal(data, want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v; encoding/json: %+v, %v", data, got, want, err)
		}
	})
}

// TestDamagedMember decodes members of the wrong form, as encoding/json refuses them.
func TestDamagedMember(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"Routes":5}`, `{"Door":"x"}`, `{"Final":{"receive":1}}`, `{"Outer":[{"ID":"x"}]}`, `{"Routes":`, `[]`, `{"Slot":-1}`,
	} {
		if err := json.Unmarshal([]byte(text), new(Attachment)); err == nil {
			t.Fatalf("%s is accepted", text)
		}
		if a, err := decodeAttachment("k", []byte(text)); err == nil {
			t.Errorf("%s: %+v", text, a)
		}
	}
	for _, text := range []string{`{"Door":null,"Routes":null}`, `{}`, `null`} {
		if a, err := decodeAttachment("k", []byte(text)); err != nil || a == nil || a.Door != nil {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
}
