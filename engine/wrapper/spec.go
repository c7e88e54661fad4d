package wrapper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"berth/engine/program"
)

// prefix begins berth's annotations: specs.Prefix. A test compares them.
const prefix = "berth/"

// A spec is a config.json (runtime-spec, config.md): its text, and the positions that berth
// reads and writes. The rest is never decoded.
type spec struct {
	text    []byte
	whole   value
	members []member
}

// readSpec finds the members of a config.json. The runtime validates the text after the
// object.
func readSpec(text []byte) (*spec, error) {
	var raw json.RawMessage
	s := &spec{text: text}
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&raw); err != nil {
		return nil, err
	}
	end := int(dec.InputOffset())
	s.whole = value{end - len(raw), end}
	var err error
	s.members, err = membersOf(text, s.whole)
	return s, err
}

// isKey reports whether a member has a name. runc, whose decoder is Go's, accepts a key in
// any case, crun does not; so keys in another case than the specification's are read, but
// nothing is added beside them.
func isKey(key, name string) bool { return strings.EqualFold(key, name) }

// annotationKeys returns the keys of berth's annotations.
func (s *spec) annotationKeys() (keys []string, err error) {
	for _, m := range s.members {
		if !isKey(m.key, "annotations") || isNull(s.text, m.value) {
			continue
		}
		all, err := membersOf(s.text, m.value)
		if err != nil {
			return nil, fmt.Errorf("annotations: %w", err)
		}
		for _, a := range all {
			if strings.HasPrefix(a.key, prefix) {
				keys = append(keys, a.key)
			}
		}
	}
	return keys, nil
}

// The stages in which berth runs (runtime-spec, config.md, "POSIX-platform Hooks");
// prestart is the old name of createRuntime, and a hook there is not added again.
const (
	createRuntime = "createRuntime"
	prestart      = "prestart"
	poststop      = "poststop"
)

// A hook is an entry of a stage.
type hook struct {
	Path    string   `json:"path"`
	Args    []string `json:"args"` // including the program's name
	Env     []string `json:"env"`
	Timeout int      `json:"timeout"` // seconds; 0 means no timeout
}

// hooks are the hooks of a config.json by stage.
type hooks struct {
	at     value // of the object; from is 0 if there is none
	null   bool
	stages []member
}

func (s *spec) stageHooks() (h hooks, err error) {
	for _, m := range s.members {
		switch {
		case !isKey(m.key, "hooks"):
			continue
		case m.key != "hooks":
			return h, fmt.Errorf(`member %q: want "hooks"`, m.key)
		case h.at.from != 0:
			return h, errors.New(`there are two members "hooks"`)
		}
		h.at, h.null = m.value, isNull(s.text, m.value)
		if h.null {
			continue
		}
		if h.stages, err = membersOf(s.text, m.value); err != nil {
			return h, fmt.Errorf("hooks: %w", err)
		}
	}
	return h, nil
}

// stageEntries returns the entries of a stage; at is the position of its array, whose from is 0 if
// there is none.
func (h *hooks) stageEntries(text []byte, name string) (at value, entries []value, err error) {
	for _, m := range h.stages {
		switch {
		case !isKey(m.key, name):
			continue
		case m.key != name:
			return at, nil, fmt.Errorf("hooks: member %q: want %q", m.key, name)
		case at.from != 0:
			return at, nil, fmt.Errorf("hooks: there are two members %q", name)
		}
		at = m.value
		if isNull(text, at) {
			continue
		}
		if entries, err = elementsOf(text, at); err != nil {
			return at, nil, fmt.Errorf("hooks: %s: %w", name, err)
		}
	}
	return at, entries, nil
}

// isOurs reports whether an entry runs berth-hook or its client: written by hand, by a hooks.d directory, by
// CDI, or by an earlier run of the wrapper.
func isOurs(text []byte, entry value) (one hook, ours bool) {
	err := json.Unmarshal(entry.textIn(text), &one)
	return one, err == nil && program.IsHook(one.Path)
}

// hasBerth reports whether one of the stages runs berth-hook already.
func (h *hooks) hasBerth(text []byte, stages ...string) (bool, error) {
	ours, _, err := h.takeOut(text, stages...)
	return len(ours) > 0, err
}

// takeOut returns the entries of the stages that run berth-hook, and the edits that remove
// them.
func (h *hooks) takeOut(text []byte, stages ...string) (ours []hook, edits []edit, err error) {
	for _, name := range stages {
		at, entries, err := h.stageEntries(text, name)
		if err != nil {
			return nil, nil, err
		}
		var left []string
		for _, e := range entries {
			if one, is := isOurs(text, e); is {
				ours = append(ours, one)
			} else {
				left = append(left, string(e.textIn(text)))
			}
		}
		if len(left) < len(entries) {
			edits = append(edits, edit{at, "[" + strings.Join(left, ",") + "]"})
		}
	}
	return ours, edits, nil
}

// withHooks returns the text with one entry appended to each stage, and with edits of other
// stages.
func (s *spec) withHooks(h hooks, added []stagedHook, edits []edit) ([]byte, error) {
	var stages []string // missing ones
	for _, one := range added {
		entry, err := json.Marshal(one.hook)
		if err != nil {
			return nil, err
		}
		at, entries, err := h.stageEntries(s.text, one.stage)
		switch {
		case err != nil:
			return nil, err
		case at.from == 0:
			stages = append(stages, fmt.Sprintf("%q:[%s]", one.stage, entry))
		case isNull(s.text, at):
			edits = append(edits, edit{at, "[" + string(entry) + "]"})
		default:
			edits = append(edits, addElement(at, entries, string(entry)))
		}
	}
	if len(stages) > 0 {
		edits = append(edits, s.addStages(h, strings.Join(stages, ",")))
	}
	return applyEdits(s.text, edits), nil
}

// A stagedHook is an entry and its stage.
type stagedHook struct {
	stage string
	hook  hook
}

// addStages returns the edit that adds stages, with their keys.
func (s *spec) addStages(h hooks, stages string) edit {
	switch {
	case h.null:
		return edit{h.at, "{" + stages + "}"}
	case h.at.from != 0:
		return addMembers(h.at, h.stages, stages)
	}
	return addMembers(s.whole, s.members, `"hooks":{`+stages+"}")
}
