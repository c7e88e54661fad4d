package metrics

import (
	"bufio"
	"errors"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// Handler serves scrapes in Prometheus' text format or in OpenMetrics, as requested. It may
// be used concurrently.
type Handler struct {
	format  *Format
	version string
	fill    func(*Snapshot) error
	process *prometheus.Registry // go_… and process_…
	places  *places
	spare   chan *Snapshot // a snapshot to reuse; it takes 200 bytes for each endpoint
}

// NewHandler returns a handler that calls fill for every scrape. If fill fails, so does the
// scrape. version is berth's own.
func NewHandler(format *Format, version string, fill func(*Snapshot) error) *Handler {
	h := &Handler{format: format, version: version, fill: fill, process: prometheus.NewRegistry(), places: newPlaces(),
		spare: make(chan *Snapshot, 1)}
	h.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	place := h.places.takePlace(r.Context(), w)
	if place == nil {
		http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
		return
	}
	defer h.places.freePlace(place)
	s := h.takeSpare()
	defer h.keepSpare(s)
	if err := h.fill(s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	format := negotiateFormat(r.Header)
	w.Header().Set("Content-Type", string(format))
	if h.writeScrape(place, s, format) != nil {
		panic(http.ErrAbortHandler) // so that the reader sees that the answer is incomplete
	}
}

// takeSpare returns the kept snapshot, or a new one.
func (h *Handler) takeSpare() *Snapshot {
	select {
	case s := <-h.spare:
		return s
	default:
		return new(Snapshot)
	}
}

// keepSpare keeps one snapshot for the next scrape, without references to endpoints; a sync.Pool
// would keep one for each CPU.
func (h *Handler) keepSpare(s *Snapshot) {
	clear(s.Rows)
	select {
	case h.spare <- s:
	default:
	}
}

// negotiateFormat chooses between the two text formats. Clients that prefer protobuf, such as
// Prometheus with native histograms, accept these too.
func negotiateFormat(header http.Header) expfmt.Format {
	format := expfmt.NegotiateIncludingOpenMetrics(header)
	if t := format.FormatType(); t == expfmt.TypeOpenMetrics || t == expfmt.TypeTextPlain {
		return format
	}
	return expfmt.NewFormat(expfmt.TypeTextPlain)
}

func (h *Handler) writeScrape(w io.Writer, s *Snapshot, format expfmt.Format) error {
	out := bufio.NewWriterSize(w, 64<<10)
	open := format.FormatType() == expfmt.TypeOpenMetrics
	if err := (&traffic{Format: h.format, Snapshot: s, out: out, openMetrics: open}).writeSeries(); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	if err := errors.Join(registry.Register(agentCollector{s, h.version}),
		registry.Register(clusterCollector{s})); err != nil {
		return err
	}
	all, err := prometheus.Gatherers{registry, h.process}.Gather()
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(out, format)
	for _, family := range all {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok { // OpenMetrics ends with a mark
		if err := closer.Close(); err != nil {
			return err
		}
	}
	return out.Flush()
}
