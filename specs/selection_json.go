package specs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// parseJSON reads the JSON form: a list of objects with the keys of the
// Kubernetes multi-network specification, or with a network file's keys in
// kebab-case to define one in place.
func parseJSON(value string) ([]Selection, error) {
	var objects []map[string]json.RawMessage
	if err := strictJSON([]byte(value), &objects); err != nil {
		return nil, err
	}
	var all []Selection
	for i, object := range objects {
		s, err := parseObject(object)
		at := fmt.Sprintf("[%d]", i)
		if err != nil {
			return nil, At(at, err)
		}
		s.Key = KeyNetworks + at
		all = append(all, s)
	}
	return all, nil
}

// selectionKeys are the keys of an object that are not a network file's.
var selectionKeys = []string{"name", "namespace", "interface", "ips", "default-route"}

func parseObject(object map[string]json.RawMessage) (s Selection, err error) {
	var request struct {
		Name         *string      `json:"name"`
		Interface    *string      `json:"interface"`
		IPs          []IP         `json:"ips"`
		MAC          MAC          `json:"mac"`
		DefaultRoute []netip.Addr `json:"default-route"`
	}
	asked, network := splitObject(object)
	if _, ok := asked["namespace"]; ok {
		return s, Invalid("namespace", string(asked["namespace"]), "no namespace: berth's networks belong to the host")
	}
	if err := fieldsJSON(asked, &request); err != nil {
		return s, err
	}
	s = Selection{IPs: request.IPs, MAC: request.MAC, DefaultRoute: request.DefaultRoute}
	if request.Interface != nil {
		s.Interface = *request.Interface
		if err := CheckInterfaceName(s.Interface); err != nil {
			return s, At("interface", err)
		}
	}
	for _, gw := range s.DefaultRoute {
		if !isUnicast(gw) {
			return s, Invalid("default-route", gw.String(), "addresses of routers")
		}
	}
	switch {
	case request.Name != nil && len(network) > 0:
		return s, Invalid("name", *request.Name, "a name, or a network defined in place, not both (%s is here too)", firstKey(network))
	case request.Name != nil:
		s.Network = *request.Name
		err = At("name", CheckNetworkName(s.Network))
	case len(network) == 0:
		return s, Invalid("name", "", "the name of a network, or a parent to define one in place")
	default:
		s.InPlace = new(Network)
		err = fieldsJSON(network, s.InPlace)
		if s.InPlace.Driver == "" && slices.Contains(Modes(IPvlan), s.InPlace.Mode) {
			s.InPlace.Driver = IPvlan
		}
	}
	if err != nil {
		return s, err
	}
	return s, finish(&s, kebab)
}

// notKebab marks a key that is none of ours because it is not in kebab-case.
const notKebab = "?"

// splitObject parts what is asked for from a network defined in place, whose
// keys it turns from kebab-case into a file's.
func splitObject(object map[string]json.RawMessage) (asked, network map[string]json.RawMessage) {
	asked, network = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for key, value := range object {
		switch {
		case slices.Contains(selectionKeys, key) || key == "mac" && isMAC(value):
			asked[key] = value
		case strings.Contains(key, "_") || key == "name":
			network[key+notKebab] = value
		default:
			network[strings.ReplaceAll(key, "-", "_")] = snakeKeys(value)
		}
	}
	return asked, network
}

// isMAC tells the MAC that is asked for from a network's policy of MACs.
func isMAC(value json.RawMessage) bool {
	return !slices.Contains([]string{`"random"`, `"derived"`}, string(bytes.TrimSpace(value)))
}

// snakeKeys turns the keys of objects in a list (subnet, route) into a file's.
func snakeKeys(value json.RawMessage) json.RawMessage {
	var list []map[string]json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return value
	}
	for _, object := range list {
		for key, v := range object {
			if snake := strings.ReplaceAll(key, "-", "_"); snake != key {
				delete(object, key)
				object[snake] = v
			}
		}
	}
	out, err := json.Marshal(list)
	if err != nil {
		return value
	}
	return out
}

func kebab(key string) string { return strings.ReplaceAll(key, "_", "-") }

func firstKey(m map[string]json.RawMessage) string {
	first := ""
	for key := range m {
		if first == "" || key < first {
			first = key
		}
	}
	return kebab(first)
}

// fieldsJSON decodes each field by itself, so that an error can name it.
func fieldsJSON(fields map[string]json.RawMessage, into any) error {
	for key, value := range fields {
		one, err := json.Marshal(map[string]json.RawMessage{key: value})
		if err != nil {
			return Invalid(kebab(key), string(value), "JSON")
		}
		if err := strictJSON(one, into); err != nil {
			return fieldError(key, value, err)
		}
	}
	return nil
}

func fieldError(key string, value json.RawMessage, err error) error {
	if strings.Contains(err.Error(), "unknown field") {
		return Invalid("key", strings.TrimSuffix(key, notKebab), "a key of specs/annotations.md, in kebab-case")
	}
	key = kebab(key)
	var v *ValueError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &v):
		return At(key, v)
	case errors.As(err, &mistyped):
		return Invalid(key, string(value), "a %s", mistyped.Type)
	}
	return Invalid(key, string(value), "%s", err)
}

// strictJSON decodes one JSON value and nothing behind it; unknown keys are errors.
func strictJSON(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		var v *ValueError
		if errors.As(err, &v) || strings.Contains(err.Error(), "unknown field") {
			return err
		}
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return err
		}
		return Invalid("", string(data), "JSON (%s)", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Invalid("", string(data), "one JSON value and nothing behind it")
	}
	return nil
}
