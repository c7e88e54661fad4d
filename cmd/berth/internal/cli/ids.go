package cli

import (
	"fmt"
	"slices"
	"strings"

	"berth/internal/text"
	"berth/specs"
)

// shortID shortens an ID of 64 hexadecimal digits to 12, as docker does. Other IDs were
// chosen by a person, and stay.
func shortID(id string) string { return text.ShortID(id) }

// displayName returns the name of an endpoint's container for a person; [findContainer] accepts it.
func displayName(e *specs.Endpoint) string {
	if e.Name != "" {
		return e.Name
	}
	return shortID(e.ContainerID)
}

// findContainer returns the endpoints of a container by its ID, its name, or a unique prefix of its
// ID. A live container takes precedence over an ended one.
func findContainer(all []specs.Endpoint, text string) ([]specs.Endpoint, error) {
	live, ended := []specs.Endpoint{}, []specs.Endpoint{}
	for _, e := range all {
		if e.Phase == specs.PhaseEnded {
			ended = append(ended, e)
		} else {
			live = append(live, e)
		}
	}
	matches := []func(*specs.Endpoint) bool{
		func(e *specs.Endpoint) bool { return slices.Contains(idsOf(e), text) },
		func(e *specs.Endpoint) bool { return e.Name == text || slices.Contains(e.ContainerNames, text) },
		func(e *specs.Endpoint) bool {
			return slices.ContainsFunc(idsOf(e), func(id string) bool { return strings.HasPrefix(id, text) })
		},
	}
	for _, among := range [][]specs.Endpoint{live, ended} {
		for _, match := range matches {
			if found, err := oneContainer(among, match, text); found != nil || err != nil {
				return found, err
			}
		}
	}
	return nil, fmt.Errorf("no container has the name %q or an ID that begins so; berth ps --all lists all containers",
		text)
}

// idsOf returns the IDs of all containers of an endpoint.
func idsOf(e *specs.Endpoint) []string {
	return append([]string{e.ContainerID}, e.Containers...)
}

// oneContainer returns the endpoints that match, if they belong to one container.
func oneContainer(all []specs.Endpoint, match func(*specs.Endpoint) bool,
	text string) (found []specs.Endpoint, err error) {
	var ids []string
	for i := range all {
		if match(&all[i]) {
			found = append(found, all[i])
			ids = append(ids, printable(all[i].ContainerID))
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 1 {
		return nil, fmt.Errorf("%q is the beginning or the name of several containers: %s; give a whole ID", text,
			strings.Join(ids, ", "))
	}
	return found, nil
}
