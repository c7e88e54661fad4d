package specs

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Agent is the part of berth.toml that berthd reads. specs/networks.md defines
// each key.
type Agent struct {
	MaxEndpoints uint32   `toml:"max_endpoints"` // interfaces that can be counted at once
	Attach       string   `toml:"attach"`        // the attach type of programs: auto, tcx, clsact
	KeepEnded    Duration `toml:"keep_ended"`    // time for which an ended container is still shown
	SocketGroup  string   `toml:"socket_group"`  // group that may read the agent's socket; "" if only root may

	Observe []string `toml:"observe"` // parents on which interfaces of others are observed, as globs

	Containerd           []string `toml:"containerd"`            // containerd's sockets, queried for names
	ContainerdNamespaces []string `toml:"containerd_namespaces"` // containerd's namespaces to query, as globs
	Docker               string   `toml:"docker"`                // docker's data directory, read for names; "" if not read
	// storage of podman and CRI-O, read for names; "" if not read
	Podman string `toml:"podman"`

	MetricsSplit        bool     `toml:"metrics_split"`         // series by scope and cast
	MetricsLabels       []string `toml:"metrics_labels"`        // labels of the traffic series
	MetricsInfo         []string `toml:"metrics_info"`          // further labels of berth_endpoint_info
	MetricsMaxEndpoints int      `toml:"metrics_max_endpoints"` // maximum number of endpoints with series

	EventsJournal  bool   `toml:"events_journal"`   // write events to the journal, if there is one
	EventsFile     string `toml:"events_file"`      // file for events as JSON lines; "" if none
	EventsFileMB   int    `toml:"events_file_mb"`   // megabytes after which the file is rotated
	EventsFileKeep int    `toml:"events_file_keep"` // number of rotated files to keep

	OTLP         string   `toml:"otlp"`          // URL of the collector; "" if none
	OTLPInterval Duration `toml:"otlp_interval"` // time between two pushes
}

// Defaults and bounds of the agent's configuration.
const (
	DefaultMaxEndpoints        = 4096
	LimitMaxEndpoints          = 1 << 16
	DefaultKeepEnded           = time.Hour
	DefaultMetricsMaxEndpoints = 10_000
	DefaultOTLPInterval        = time.Minute
	DefaultEventsFileMB        = 10
	DefaultEventsFileKeep      = 5
	limitEventsFileMB          = 10_000
	limitEventsFileKeep        = 100
	maxContainerdSockets       = 16
	maxMetricsLabels           = 32
)

// The labels that a traffic series may have. Container and interface are
// required, because only both together identify a series.
const (
	LabelContainer = "container_id"
	LabelInterface = "interface"
	LabelNetwork   = "network"
	LabelParent    = "parent"
)

// TrafficLabels are the default labels of a traffic series.
func TrafficLabels() []string {
	return []string{LabelContainer, LabelInterface, LabelNetwork, LabelParent}
}

// InfoLabels are the default further labels of berth_endpoint_info.
func InfoLabels() []string {
	return []string{"name", "image", "pod", "namespace", "mac", "driver", "mode"}
}

// EngineLabel is the prefix that selects a label which the engine gave the
// container: "label:app" is shown as label_app.
const EngineLabel = "label:"

// MetricLabel returns the name of a selected label in a metric.
func MetricLabel(choice string) string {
	key, isEngines := strings.CutPrefix(choice, EngineLabel)
	if !isEngines {
		return choice
	}
	return "label_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, key)
}

func defaultAgent() Agent {
	return Agent{
		MaxEndpoints:         DefaultMaxEndpoints,
		Attach:               "auto",
		KeepEnded:            Duration(DefaultKeepEnded),
		Observe:              []string{"*"},
		Containerd:           []string{"/run/containerd/containerd.sock"},
		ContainerdNamespaces: []string{"*"},
		Docker:               "/var/lib/docker",
		Podman:               "/var/lib/containers/storage",
		MetricsLabels:        TrafficLabels(),
		MetricsInfo:          InfoLabels(),
		MetricsMaxEndpoints:  DefaultMetricsMaxEndpoints,
		EventsJournal:        true,
		EventsFileMB:         DefaultEventsFileMB,
		EventsFileKeep:       DefaultEventsFileKeep,
		OTLPInterval:         Duration(DefaultOTLPInterval),
	}
}

func (a *Agent) checkAgent() error {
	if a.MaxEndpoints < 1 || a.MaxEndpoints > LimitMaxEndpoints {
		return Invalid("agent.max_endpoints", fmt.Sprint(a.MaxEndpoints), "1 to %d", LimitMaxEndpoints)
	}
	if !slices.Contains([]string{"auto", "tcx", "clsact"}, a.Attach) {
		return Invalid("agent.attach", a.Attach, "auto, tcx or clsact")
	}
	for _, check := range []func() error{a.checkObserve, a.checkNames, a.checkMetrics, a.checkEvents, a.checkOTLP} {
		if err := check(); err != nil {
			return At("agent", err)
		}
	}
	return nil
}

// Observes reports whether interfaces on a parent with these names are observed by
// configuration.
func (a *Agent) Observes(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return matchAny(a.Observe, name) })
}

func (a *Agent) checkObserve() error {
	for i, glob := range a.Observe {
		if err := checkGlob(glob); err != nil {
			return At(fmt.Sprintf("observe[%d]", i), err)
		}
	}
	return nil
}

// isPath reports whether a text is the absolute path of a file, without control characters: the kernel
// ends a path at a NUL, and a log at a line's end.
func isPath(text string) bool {
	return filepath.IsAbs(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func (a *Agent) checkNames() error {
	if strings.ContainsFunc(a.SocketGroup, unicode.IsControl) {
		return Invalid("socket_group", a.SocketGroup, "the name of a group")
	}
	if n := len(a.Containerd); n > maxContainerdSockets {
		return Invalid("containerd", fmt.Sprint(n), "at most %d sockets", maxContainerdSockets)
	}
	for i, path := range a.Containerd {
		if !isPath(path) {
			return Invalid(fmt.Sprintf("containerd[%d]", i), path, "the absolute path of a socket")
		}
	}
	for i, glob := range a.ContainerdNamespaces {
		if err := checkGlob(glob); err != nil {
			return At(fmt.Sprintf("containerd_namespaces[%d]", i), err)
		}
	}
	for key, dir := range map[string]string{"docker": a.Docker, "podman": a.Podman} {
		if dir != "" && !isPath(dir) {
			return Invalid(key, dir, "the absolute path of a directory, or \"\" for none")
		}
	}
	return nil
}

func (a *Agent) checkMetrics() error {
	if n := a.MetricsMaxEndpoints; n < 0 || n > LimitMaxEndpoints {
		return Invalid("metrics_max_endpoints", fmt.Sprint(n), "0 to %d", LimitMaxEndpoints)
	}
	for _, must := range []string{LabelContainer, LabelInterface} {
		if !slices.Contains(a.MetricsLabels, must) {
			return Invalid("metrics_labels", strings.Join(a.MetricsLabels, ", "), "a list with %s and %s in it",
				LabelContainer, LabelInterface)
		}
	}
	if err := checkLabels("metrics_labels", a.MetricsLabels); err != nil {
		return err
	}
	return checkLabels("metrics_info", a.MetricsInfo)
}

func checkLabels(key string, labels []string) error {
	if len(labels) > maxMetricsLabels {
		return Invalid(key, fmt.Sprint(len(labels)), "at most %d labels", maxMetricsLabels)
	}
	seen := make(map[string]bool)
	for i, label := range labels {
		at := fmt.Sprintf("%s[%d]", key, i)
		if err := checkLabel(label); err != nil {
			return At(at, err)
		}
		if seen[MetricLabel(label)] {
			return Unusable(at, label, "this label is in the list twice")
		}
		seen[MetricLabel(label)] = true
	}
	return nil
}

func checkLabel(label string) error {
	known := append(TrafficLabels(), InfoLabels()...)
	if key, ok := strings.CutPrefix(label, EngineLabel); ok && key != "" || slices.Contains(known, label) {
		return nil
	}
	return Invalid("", label, "one of %s, or %sKEY for a label of the container's", strings.Join(known, ", "), EngineLabel)
}

func (a *Agent) checkEvents() error {
	switch {
	case a.EventsFile != "" && !isPath(a.EventsFile):
		return Invalid("events_file", a.EventsFile, "the absolute path of a file, or \"\" for none")
	case a.EventsFileMB < 1 || a.EventsFileMB > limitEventsFileMB:
		return Invalid("events_file_mb", fmt.Sprint(a.EventsFileMB), "1 to %d megabytes", limitEventsFileMB)
	case a.EventsFileKeep < 0 || a.EventsFileKeep > limitEventsFileKeep:
		return Invalid("events_file_keep", fmt.Sprint(a.EventsFileKeep), "0 to %d files", limitEventsFileKeep)
	}
	return nil
}

func (a *Agent) checkOTLP() error {
	if d := time.Duration(a.OTLPInterval); d < time.Second || d > time.Hour {
		return Invalid("otlp_interval", a.OTLPInterval.String(), "1s to 1h")
	}
	if a.OTLP == "" {
		return nil
	}
	u, err := url.Parse(a.OTLP)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Invalid("otlp", a.OTLP, "a URL as http://127.0.0.1:4318, or \"\" for none")
	}
	return nil
}
