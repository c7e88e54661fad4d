package wrapper

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/specs"
)

func TestPrefixIsTheSpecifications(t *testing.T) {
	if prefix != specs.Prefix {
		t.Errorf("the wrapper looks for %q, annotations begin with %q", prefix, specs.Prefix)
	}
}

// inSpec maps texts to the results of adding the two entries, written E and P.
var inSpec = map[string]struct{ text, want string }{
	"no hooks":            {`{"a":1}`, `{"a":1,"hooks":{"createRuntime":[E],"poststop":[P]}}`},
	"nothing":             {`{}`, `{"hooks":{"createRuntime":[E],"poststop":[P]}}`},
	"null":                {`{"hooks":null,"b":2}`, `{"hooks":{"createRuntime":[E],"poststop":[P]},"b":2}`},
	"empty":               {`{"hooks": { } ,"b":2}`, `{"hooks": {"createRuntime":[E],"poststop":[P] } ,"b":2}`},
	"another stage":       {`{"hooks":{"poststart":[{"path":"/x"}]}}`, `{"hooks":{"poststart":[{"path":"/x"}],"createRuntime":[E],"poststop":[P]}}`},
	"stage empty":         {`{"hooks":{"poststop":[ ]}}`, `{"hooks":{"poststop":[P ],"createRuntime":[E]}}`},
	"stage null":          {`{"hooks":{"poststop":null}}`, `{"hooks":{"poststop":[P],"createRuntime":[E]}}`},
	"behind others":       {`{"hooks":{"createRuntime":[{"path":"/x"}, {"path":"/y"} ]}}`, `{"hooks":{"createRuntime":[{"path":"/x"}, {"path":"/y"},E ],"poststop":[P]}}`},
	"already":             {`{"hooks":{"createRuntime":[{"path":"/opt/berth-hook"}],"poststop":[{"path":"/x"}]}}`, `{"hooks":{"createRuntime":[{"path":"/opt/berth-hook"}],"poststop":[{"path":"/x"},P]}}`},
	"already, old stage":  {`{"hooks":{"prestart":[{"path":"/opt/berth-hook"}]}}`, `{"hooks":{"prestart":[{"path":"/opt/berth-hook"}],"poststop":[P]}}`},
	"already, both":       {`{"hooks":{"createRuntime":[{"path":"/opt/berth-hook"}],"poststop":[{"path":"/berth-hook"}]}}`, `{"hooks":{"createRuntime":[{"path":"/opt/berth-hook"}],"poststop":[{"path":"/berth-hook"}]}}`},
	"already, the client": {`{"hooks":{"createRuntime":[{"path":"/opt/berth-hook-client"}],"poststop":[{"path":"/berth-hook"}]}}`, `{"hooks":{"createRuntime":[{"path":"/opt/berth-hook-client"}],"poststop":[{"path":"/berth-hook"}]}}`},
	"similar name":        {`{"hooks":{"createRuntime":[{"path":"/opt/my-berth-hook"}]}}`, `{"hooks":{"createRuntime":[{"path":"/opt/my-berth-hook"},E],"poststop":[P]}}`},
	"numbers, unknown fields and order": {
		"{\n \"z\": 1.50e+3, \"big\": 123456789012345678901234567890, \"a\": [ 1 , 2.0 ],\n \"z\": \"\\u0041/\\/\" }\n",
		"{\n \"z\": 1.50e+3, \"big\": 123456789012345678901234567890, \"a\": [ 1 , 2.0 ],\n \"z\": \"\\u0041/\\/\",\"hooks\":{\"createRuntime\":[E],\"poststop\":[P]} }\n"},
}

var entries = map[string]hook{
	"E": {Path: "/b/berth-hook", Args: []string{"berth-hook", createRuntime}, Env: hookEnv, Timeout: 30},
	"P": {Path: "/b/berth-hook", Args: []string{"berth-hook", poststop}, Env: hookEnv, Timeout: 30},
}

// addBoth adds the missing ones of the two entries.
func addBoth(text []byte) ([]byte, error) {
	s, err := readSpec(text)
	if err != nil {
		return nil, err
	}
	h, err := s.stageHooks()
	if err != nil {
		return nil, err
	}
	var added []stagedHook
	if has, err := h.hasBerth(text, createRuntime, prestart); err != nil {
		return nil, err
	} else if !has {
		added = append(added, stagedHook{createRuntime, entries["E"]})
	}
	if has, err := h.hasBerth(text, poststop); err != nil {
		return nil, err
	} else if !has {
		added = append(added, stagedHook{poststop, entries["P"]})
	}
	return s.withHooks(h, added, nil)
}

func TestWithHooks(t *testing.T) {
	for name, c := range inSpec {
		t.Run(name, func(t *testing.T) {
			want := c.want
			for letter, entry := range entries {
				text, err := json.Marshal(entry)
				if err != nil {
					t.Fatal(err)
				}
				want = strings.ReplaceAll(want, letter+"]", string(text)+"]")
				want = strings.ReplaceAll(want, letter+" ]", string(text)+" ]")
			}
			got, err := addBoth([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			again, err := addBoth(got)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("once more it becomes %s, %v", again, err)
			}
		})
	}
}

func TestWithHooksRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"hooks":[]}`:                                      "hooks",
		`{"hooks":{},"hooks":{}}`:                           `two members "hooks"`,
		`{"hooks":{"poststop":{}}}`:                         "poststop",
		`{"hooks":{"poststop":"x"}}`:                        "poststop",
		`{"hooks":{"createRuntime":[],"createRuntime":[]}}`: `two members "createRuntime"`,
		`{"Hooks":{}}`:                                      `"Hooks": want "hooks"`,
		`{"hooks":{},"hookS":{}}`:                           `"hookS": want "hooks"`,
		`{"hooks":{"CreateRuntime":[]}}`:                    `"CreateRuntime": want "createRuntime"`,
	} {
		if got, err := addBoth([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s becomes %s, %v, want an error that says %s", text, got, err, want)
		}
	}
}

func TestAnnotated(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`:                   nil,
		`{"annotations":null}`: nil,
		`{"annotations":{"a":"berth/networks","berth":"x","xberth/networks":"lan"}}`: nil,
		`{"annotations":{"berth/networks":"lan"}}`:                                   {"berth/networks"},
		`{"annotations":{"\u0062erth\/typo":""}}`:                                    {"berth/typo"},
		`{"annotations":{"berth/":1}}`:                                               {"berth/"},
		`{"annotations":{},"annotations":{"berth/ip":""}}`:                           {"berth/ip"},
		`{"Annotations":{"berth/ip":""}}`:                                            {"berth/ip"}, // runc accepts it
		`{"process":{"env":["berth/networks=lan"]}}`:                                 nil,
	} {
		s, err := readSpec([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := s.annotationKeys(); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s has %q, %v, want %q", text, got, err, want)
		}
	}
}

// FuzzWithHooks requires that adding to any JSON object keeps its content, and does nothing
// the second time.
func FuzzWithHooks(f *testing.F) {
	for _, c := range inSpec {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := addBoth(text)
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(text, &before) != nil {
			return // the runtime validates the text after the object
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q becomes %q: %v", text, got, err)
		}
		for key, value := range before {
			if key != "hooks" && !bytes.Equal(after[key], value) {
				t.Errorf("%q was %q and is %q", key, value, after[key])
			}
		}
		if again, err := addBoth(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q becomes %q, %v", got, again, err)
		}
	})
}
