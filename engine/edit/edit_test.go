package edit

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// edits are a text, a value to set in it, and the resulting text.
var edits = map[string]struct {
	format Format
	path   string // parts separated by blanks
	value  any
	before string
	after  string
}{
	"a value beside others":                    {TOML, "a b", "x", "# top\n[a] # of a\n  c = 1 # of c\n\n# of d\n[d]\n  e = 2\n", "# top\n[a] # of a\n  c = 1 # of c\n  b = \"x\"\n\n# of d\n[d]\n  e = 2\n"},
	"a value below a header":                   {TOML, "a b", true, "[a]\n[d]\n    e = 2\n", "[a]\n    b = true\n[d]\n    e = 2\n"},
	"a value replaced":                         {TOML, "a b", []string{"x", "y"}, "[a]\nb = [ # the first\n  \"x\",\n] # end\nc = 1\n", "[a]\nb = [\"x\", \"y\"] # end\nc = 1\n"},
	"a value at the top":                       {TOML, "a", "x", "[d]\ne = 2\n", "a = \"x\"\n\n[d]\ne = 2\n"},
	"a value behind the top's last":            {TOML, "a", "x", "# first\nb = 1\n\n[d]\n", "# first\nb = 1\na = \"x\"\n\n[d]\n"},
	"a value in a file without an end of line": {TOML, "a b", "x", "[a]\nc = 1", "[a]\nc = 1\nb = \"x\"\n"},
	"a value in an empty file":                 {TOML, "a b", "x", "", "[a]\n  b = \"x\"\n"},
	"a value of a table that only has tables":  {TOML, "a b", "x", "[a.c]\nd = 1\n\n[e]\n", "[a.c]\nd = 1\n\n[a]\nb = \"x\"\n\n[e]\n"},
	"a value behind a dotted key":              {TOML, "a b c", "x", "[a]\nb.d = 1\ne = 2\n", "[a]\nb.d = 1\nb.c = \"x\"\ne = 2\n"},
	"a value in an inline table":               {TOML, "a b", "x", "a = { c = 1 } # c\n", "a = { c = 1, b = \"x\" } # c\n"},
	"a value in an empty inline table":         {TOML, "a b c", "x", "a = {}\n", "a = { b = { c = \"x\" } }\n"},
	"a value replaced in an inline table":      {TOML, "a b", "x", "a = { b = 'y', c = 1 }\n", "a = { b = \"x\", c = 1 }\n"},
	"a table beside its kin": {TOML, "p cri.v1 r berth", map[string]any{"t": "x", "o": map[string]any{"B": "y"}},
		"[p]\n  [p.\"cri.v1\"]\n    [p.\"cri.v1\".r]\n      [p.\"cri.v1\".r.runc]\n        t = \"x\"\n        [p.\"cri.v1\".r.runc.o]\n          S = true\n  [p.other]\n",
		"[p]\n  [p.\"cri.v1\"]\n    [p.\"cri.v1\".r]\n      [p.\"cri.v1\".r.runc]\n        t = \"x\"\n        [p.\"cri.v1\".r.runc.o]\n          S = true\n\n      [p.\"cri.v1\".r.berth]\n        t = \"x\"\n\n        [p.\"cri.v1\".r.berth.o]\n          B = \"y\"\n  [p.other]\n"},
	"a table with quotes of the file's": {TOML, "p cri.v1 r", map[string]any{"t": "x"}, "[p.'cri.v1']\n", "[p.'cri.v1']\n\n[p.'cri.v1'.r]\n  t = \"x\"\n"},
	"a table that is there":             {TOML, "a", map[string]any{"b": "x", "c": map[string]any{"d": "y"}}, "[a]\nb = 'z'\n[a.c]\ne = 1\n", "[a]\nb = \"x\"\n[a.c]\ne = 1\nd = \"y\"\n"},
	"with carriage returns":             {TOML, "a b", "x", "[a]\r\nc = 1\r\n", "[a]\r\nc = 1\r\nb = \"x\"\r\n"},
	"numbers of every form":             {TOML, "a b", map[string]any{"c": math.Inf(1), "d": math.NaN(), "e": 1e21, "f": time.Date(1979, 5, 27, 7, 32, 0, 0, time.UTC)}, "x = nan\ny = [-inf, nan]\n", "x = nan\ny = [-inf, nan]\n\n[a.b]\n  c = inf\n  d = nan\n  e = 1000000000000000000000.0\n  f = 1979-05-27T07:32:00Z\n"},
	"characters to escape":              {TOML, "a", "q\" b\\ \t", "", "a = \"q\\\" b\\\\ \\u0009\"\n"},

	"JSON: behind the last":      {JSON, "b", "x", "{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}\n"},
	"JSON: on one line":          {JSON, "b", true, `{"a": 1}`, `{"a": 1, "b": true}`},
	"JSON: replaced":             {JSON, "a b", []string{"y"}, "{\"a\": {\n\t\"b\" : \"x\" , \"c\":[1,2]}}", "{\"a\": {\n\t\"b\" : [\n\t\t\"y\"\n\t] , \"c\":[1,2]}}"},
	"JSON: into an empty object": {JSON, "b", "x", "{}\n", "{\n    \"b\": \"x\"\n}\n"},
	"JSON: into nothing":         {JSON, "r berth", map[string]any{"path": "/b"}, "", "{\n    \"r\": {\n        \"berth\": {\n            \"path\": \"/b\"\n        }\n    }\n}\n"},
	"JSON: with its object":      {JSON, "r berth", map[string]any{"path": "/b&"}, "{\n\t\"a\": {\"}\": \"{\"}\n}", "{\n\t\"a\": {\"}\": \"{\"},\n\t\"r\": {\n\t\t\"berth\": {\n\t\t\t\"path\": \"/b&\"\n\t\t}\n\t}\n}"},
	"JSON: carriage returns":     {JSON, "r berth", map[string]any{"path": "/b"}, "{\r\n  \"a\": 1\r\n}\r\n", "{\r\n  \"a\": 1,\r\n  \"r\": {\r\n    \"berth\": {\r\n      \"path\": \"/b\"\r\n    }\r\n  }\r\n}\r\n"},
	"JSON: null for an object":   {JSON, "r berth", map[string]any{"path": "/b"}, "{\"r\": null, \"a\": 1}", "{\"r\": {\n    \"berth\": {\n        \"path\": \"/b\"\n    }\n}, \"a\": 1}"},
	"JSON: null for the table":   {JSON, "r berth", map[string]any{"path": "/b"}, "{\"r\": {\"berth\": null}}", "{\"r\": {\"berth\": {\n    \"path\": \"/b\"\n}}}"},
	"JSON: null for a value":     {JSON, "a", "x", "{\"a\": null}", "{\"a\": \"x\"}"},
	"JSON: beside its kin":       {JSON, "r berth", map[string]any{"path": "/b"}, "{\n  \"r\": {\n    \"crun\": {\n      \"path\": \"/c\"\n    }\n  },\n  \"z\": 1.50\n}\n", "{\n  \"r\": {\n    \"crun\": {\n      \"path\": \"/c\"\n    },\n    \"berth\": {\n      \"path\": \"/b\"\n    }\n  },\n  \"z\": 1.50\n}\n"},
}

func TestSetAndUndo(t *testing.T) {
	for name, c := range edits {
		t.Run(name, func(t *testing.T) {
			path := strings.Fields(c.path)
			after, changes, err := c.format.Set(c.before, path, c.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.after, after); diff != "" {
				t.Errorf("set (-want +got):\n%s", diff)
			}
			again, none, err := c.format.Set(after, path, c.value)
			if again != after || none != nil || err != nil {
				t.Errorf("a second time: %q, %v, %v", again, none, err)
			}
			if diff := cmp.Diff(c.before, undoAll(t, c.format, after, changes)); diff != "" {
				t.Errorf("undone (-want +got):\n%s", diff)
			}
			if gone := undoAll(t, c.format, undoAll(t, c.format, after, changes), changes); c.format == TOML && changes[0].Old == nil && gone != c.before {
				t.Errorf("undone twice: %q", gone)
			}
		})
	}
}

func undoAll(t *testing.T, f Format, text string, changes []Change) string {
	t.Helper()
	for _, c := range slices.Backward(changes) {
		undone, err := f.Undo(text, c)
		if err != nil {
			if errors.Is(err, ErrChanged) {
				continue
			}
			t.Fatalf("undo %q: %v", c.Path, err)
		}
		text = undone
	}
	return text
}

// TestUndoAmongOthersChanges requires that others' changes since then stay.
func TestUndoAmongOthersChanges(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		path   string
		value  any
		before string
		others [2]string // the old and the new text
		want   string
	}{
		"a key in our table":    {TOML, "a berth", map[string]any{"t": "x"}, "[a]\nb = 1\n", [2]string{"t = \"x\"", "t = \"z\"\nu = 2"}, "[a]\nb = 1\n\n"},
		"a key beside":          {TOML, "a t", "x", "[a]\nb = 1\n", [2]string{"b = 1", "b = 2"}, "[a]\nb = 2\n"},
		"our table elsewhere":   {TOML, "a berth", map[string]any{"t": "x"}, "[a]\nb = 1\n", [2]string{"[a]\nb = 1\n\n[a.berth]\nt = \"x\"", "[a.berth]\nt = \"x\"\n[a]\nb = 1"}, "[a]\nb = 1\n"},
		"JSON: a member behind": {JSON, "r berth", map[string]any{"p": "x"}, "{\n  \"a\": 1\n}\n", [2]string{"\n  }\n}", "\n  },\n  \"z\": 2\n}"}, "{\n  \"a\": 1,\n  \"z\": 2\n}\n"},
		"JSON: a sibling":       {JSON, "r berth", map[string]any{"p": "x"}, "{\n  \"r\": {\n    \"a\": 1\n  }\n}\n", [2]string{"\"a\": 1", "\"a\": 2"}, "{\n  \"r\": {\n    \"a\": 2\n  }\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			text, changes, err := c.format.Set(c.before, strings.Fields(c.path), c.value)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text, c.others[0]) {
				t.Fatalf("no %q in %q", c.others[0], text)
			}
			text = strings.Replace(text, c.others[0], c.others[1], 1)
			if diff := cmp.Diff(c.want, undoAll(t, c.format, text, changes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUndoVerifiesTheOldValue requires that a damaged record adds nothing to a file that was never in it.
func TestUndoVerifiesTheOldValue(t *testing.T) {
	for _, c := range []struct {
		format    Format
		text, old string
	}{
		{TOML, "a = \"new\"\nb = 1\n", "\"old\"\nc = 2"},
		{TOML, "a = \"new\"\nb = 1\n", "\"old"},
		{TOML, "t = { a = \"new\" }\n", "1, d = 2"},
		{JSON, `{"a": "new", "b": 1}`, `"old", "c": 2`},
		{JSON, `{"a": "new", "b": 1}`, `"old`},
	} {
		path := []string{"a"}
		if strings.HasPrefix(c.text, "t") {
			path = []string{"t", "a"}
		}
		change := Change{Path: path, Value: `"new"`, Old: &c.old}
		if got, err := c.format.Undo(c.text, change); !errors.Is(err, ErrLayout) {
			t.Errorf("%s with the old value %q: %q, %v; want ErrLayout", c.text, c.old, got, err)
		}
	}
}

func TestUndoLeavesWhatWasChangedAgain(t *testing.T) {
	text, changes, err := TOML.Set("[a]\nb = 'runc'\n", []string{"a", "b"}, "berth")
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, "berth", "kata", 1)
	if got, err := TOML.Undo(text, changes[0]); !errors.Is(err, ErrChanged) || got != text {
		t.Errorf("%q, %v, want it unchanged and ErrChanged", got, err)
	}
}

func TestWhatCannotBeEdited(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		path   string
		value  any
		text   string
		want   string
	}{
		"not TOML":             {TOML, "a", "x", "a = \n", "line 1"},
		"a value for a table":  {TOML, "a b", "x", "a = 1\n", "layout"},
		"a table for a value":  {TOML, "a", "x", "[a]\nb = 1\n", "layout"},
		"inside a table array": {TOML, "a b", "x", "[[a]]\nc = 1\n", "layout"},
		"a byte order mark":    {TOML, "a", "x", "\ufeffa = 1\n", "byte order mark"},
		"not JSON":             {JSON, "a", "x", "{,}", "line 1"},
		"a list":               {JSON, "a", "x", "[1]", "another value than an object"},
		"a huge number":        {JSON, "a", "x", "{\n\"a\": 1e400}", "line 2: json: cannot unmarshal number 1e400"},
		"null":                 {JSON, "a", "x", "null", "another value than an object"},
		"a JSON value":         {JSON, "a b", "x", "{\"a\": 1}", "layout"},
		"a mark before JSON":   {JSON, "a", "x", "\ufeff{}", "byte order mark"},
	} {
		got, _, err := c.format.Set(c.text, strings.Fields(c.path), c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it; the file is %q", name, err, c.want, got)
		}
	}
}

// FuzzSet requires for any file that after Set the value is there and all others are
// unchanged, and that Undo restores the earlier values.
func FuzzSet(f *testing.F) {
	for _, c := range edits {
		f.Add(c.format == JSON, c.before, "a", "b")
		f.Add(c.format == JSON, c.after, "a", "berth")
	}
	f.Fuzz(func(t *testing.T, isJSON bool, text, table, key string) {
		format := TOML
		if isJSON {
			format = JSON
		}
		before, err := format.Decode(text)
		if err != nil {
			return
		}
		path := []string{table, key}
		after, changes, err := format.Set(text, path, "value of ours")
		if err != nil {
			return
		}
		values, err := format.Decode(after)
		if got, _ := Lookup(values, path...); err != nil || got != "value of ours" {
			t.Fatalf("%q became %q: %v, %v", text, after, got, err)
		}
		undone, err := format.Decode(undoAll(t, format, after, changes))
		if err != nil || !equalValues(pruneTables(before), pruneTables(undone)) {
			t.Fatalf("%q became %q and then %v, %v", text, after, undone, err)
		}
	})
}
