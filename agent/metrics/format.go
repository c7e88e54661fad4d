package metrics

import (
	"iter"
	"slices"
	"strings"

	"berth/specs"
)

// Endpoint identifies the endpoint of a traffic series. Many scrapes share it, so it must
// not be changed after [Format.Prepare].
type Endpoint struct {
	ContainerID, Interface, Network, Parent string
	Name, Image, Pod, Namespace             string
	Labels                                  map[string]string // of the container, from its engine
	MAC                                     specs.MAC
	Driver                                  specs.Driver
	Mode                                    specs.Mode
	Created                                 int64 // ns since 1970

	labels string // of its series, rendered
}

// Format defines the labels and the number of series.
type Format struct {
	traffic []label
	info    []label // in addition to those
	split   bool
	Max     int // maximum of endpoints that have series
}

// label is a label of a metric: its name, and the function that returns its value.
type label struct {
	name  string
	value func(*Endpoint) string
}

// NewFormat returns the configured format. The labels in specs.Agent have passed its check.
func NewFormat(a specs.Agent) *Format {
	f := &Format{split: a.MetricsSplit, Max: a.MetricsMaxEndpoints}
	for _, choice := range a.MetricsLabels {
		f.traffic = append(f.traffic, labelOf(choice))
	}
	for _, choice := range append(specs.TrafficLabels(), a.MetricsInfo...) {
		l := labelOf(choice)
		if !slices.ContainsFunc(slices.Concat(f.traffic, f.info), func(has label) bool { return has.name == l.name }) {
			f.info = append(f.info, l)
		}
	}
	return f
}

func labelOf(choice string) label {
	if key, ok := strings.CutPrefix(choice, specs.EngineLabel); ok {
		return label{specs.MetricLabel(choice), func(e *Endpoint) string { return e.Labels[key] }}
	}
	return label{choice, map[string]func(*Endpoint) string{
		specs.LabelContainer: func(e *Endpoint) string { return e.ContainerID },
		specs.LabelInterface: func(e *Endpoint) string { return e.Interface },
		specs.LabelNetwork:   func(e *Endpoint) string { return e.Network },
		specs.LabelParent:    func(e *Endpoint) string { return e.Parent },
		"name":               func(e *Endpoint) string { return e.Name },
		"image":              func(e *Endpoint) string { return e.Image },
		"pod":                func(e *Endpoint) string { return e.Pod },
		"namespace":          func(e *Endpoint) string { return e.Namespace },
		"mac":                func(e *Endpoint) string { return e.MAC.String() },
		"driver":             func(e *Endpoint) string { return string(e.Driver) },
		"mode":               func(e *Endpoint) string { return string(e.Mode) },
	}[choice]}
}

// Prepare renders the part of an endpoint that every scrape shows. Endpoints with equal
// Series are one series.
func (f *Format) Prepare(e *Endpoint) {
	e.labels = string(appendLabels(nil, f.traffic, e))
	for _, value := range []*string{&e.ContainerID, &e.Name, &e.Pod} { // share the memory of equal text
		if i := strings.Index(e.labels, *value); i >= 0 {
			*value = e.labels[i : i+len(*value)]
		}
	}
}

// Series returns the labels rendered by Prepare; a snapshot is ordered by it.
func (e *Endpoint) Series() string { return e.labels }

// Labels yields the labels of an endpoint's traffic series.
func (f *Format) Labels(e *Endpoint) iter.Seq2[string, string] { return labelValues(f.traffic, e) }

// Info yields the labels that berth_endpoint_info has in addition.
func (f *Format) Info(e *Endpoint) iter.Seq2[string, string] { return labelValues(f.info, e) }

func labelValues(labels []label, e *Endpoint) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, l := range labels {
			if !yield(l.name, l.value(e)) {
				return
			}
		}
	}
}

// appendLabels appends labels in the syntax of both text formats, without braces:
// a="1",b="2".
func appendLabels(to []byte, labels []label, e *Endpoint) []byte {
	for i, l := range labels {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(append(to, l.name...), `="`...)
		to = append(appendEscaped(to, l.value(e)), '"')
	}
	return to
}

// appendEscaped appends an escaped label value, the same in Prometheus' text format and in
// OpenMetrics.
func appendEscaped(to []byte, value string) []byte {
	if !strings.ContainsAny(value, "\\\"\n") {
		return append(to, value...)
	}
	for i := range len(value) {
		switch c := value[i]; c {
		case '\\', '"':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, `\n`...)
		default:
			to = append(to, c)
		}
	}
	return to
}
