package cdi

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestTheSchema checks the file against the format's schema, as some engines validate by a
// schema and not by the library.
func TestTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := Generate([]string{"lan", "9"}, "/usr/bin/berth-hook", standard)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"generated":       {text, true},
		"no such stage":   {strings.ReplaceAll(text, `"poststop",`, `"postStop",`), false},
		"no kind":         {strings.ReplaceAll(text, Kind, "network"), false},
		"a relative path": {strings.ReplaceAll(text, "/usr/bin/berth-hook", "berth-hook"), false},
		"no device":       {`{"cdiVersion": "0.3.0", "kind": "berth/network", "devices": []}`, false},
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
