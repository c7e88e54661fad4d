package state

import (
	"encoding/json"
	"fmt"

	"berth/internal/plain"
)

// stored is an attachment as its record holds it. It has the same JSON, with the members
// below at the end.
//
// encoding/json prepares all types below the one that it encodes or decodes when it meets it
// first, in a run of berth-hook for a single record. Most attachments have none of these members,
// so they are encoded and decoded apart, and only if they are present.
type stored struct {
	*Attachment
	Outer         json.RawMessage `json:",omitempty"`
	Routes        json.RawMessage `json:",omitempty"`
	Replaced      json.RawMessage `json:",omitempty"`
	DHCP          json.RawMessage `json:",omitempty"`
	EngineNetwork json.RawMessage `json:",omitempty"`
	Final         json.RawMessage `json:",omitempty"`
	Earlier       json.RawMessage `json:",omitempty"`
	Engine        json.RawMessage `json:",omitempty"`
	Door          json.RawMessage `json:",omitempty"`
}

// apart pairs the members with those of the attachment; absent reports whether that one is
// left out of the record.
func (s *stored) apart() []member {
	a := s.Attachment
	return []member{
		{&s.Outer, &a.Outer, len(a.Outer) == 0},
		{&s.Routes, &a.Routes, len(a.Routes) == 0},
		{&s.Replaced, &a.Replaced, len(a.Replaced) == 0},
		{&s.DHCP, &a.DHCP, len(a.DHCP) == 0},
		{&s.EngineNetwork, &a.EngineNetwork, a.EngineNetwork == nil},
		{&s.Final, &a.Final, a.Final == nil},
		{&s.Earlier, &a.Earlier, a.Earlier == nil},
		{&s.Engine, &a.Engine, a.Engine == nil},
		{&s.Door, &a.Door, a.Door == nil},
	}
}

type member struct {
	text   *json.RawMessage
	value  any
	absent bool
}

func encodeAttachment(a *Attachment) ([]byte, error) {
	if data, ok := plain.Encode(a); ok {
		return data, nil
	}
	s := stored{Attachment: a}
	var err error
	for _, m := range s.apart() {
		if m.absent {
			continue
		}
		if *m.text, err = json.Marshal(m.value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(&s)
}

func decodeAttachment(key string, data []byte) (*Attachment, error) {
	if a := new(Attachment); plain.Decode(data, a) {
		return a, nil
	}
	s := stored{Attachment: new(Attachment)}
	err := json.Unmarshal(data, &s)
	if err == nil && s.Attachment != nil {
		for _, m := range s.apart() {
			if err == nil && len(*m.text) > 0 {
				err = json.Unmarshal(*m.text, m.value)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("attachment %q: %w: %w", key, ErrDamaged, err)
	}
	return s.Attachment, nil
}
