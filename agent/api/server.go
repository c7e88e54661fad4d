package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"berth/agent/events"
	"berth/specs"
)

// Backend is the part of the agent that the socket uses. Its methods are called concurrently.
type Backend interface {
	Status(context.Context) (specs.AgentStatus, error)
	// RecentStatus is Status for a client that asks again and again: the state may be some seconds old.
	RecentStatus(context.Context) (specs.AgentStatus, error)
	// Endpoints calls each with the live endpoints, and with the ended ones if all is set,
	// and returns its error. each must not keep the pointer.
	Endpoints(ctx context.Context, all bool, each func(*specs.Endpoint) error) error
	// Changes calls each with the parts of the changes to the endpoints, ended ones too, since the
	// version after, or with all endpoints if it does not know that version.
	Changes(ctx context.Context, after string, each func(*specs.Changes) error) error
	Networks(context.Context) ([]specs.NetworkStatus, error)
	Ready() error // why the agent does not count yet, or nil
	Detach(ctx context.Context, purge bool) error
	Attach(context.Context) error
	Cluster(context.Context) (specs.ClusterStatus, error)
	// Forget removes a node of the cluster and returns the keys that it had.
	Forget(ctx context.Context, node string) ([]string, error)
}

// Server answers requests on the agent's socket.
type Server struct {
	backend Backend
	ring    *events.Ring
	log     *slog.Logger
	http    *http.Server
	views   *http.Server // answers reads alone, for any user
	stop    context.CancelFunc
}

// New returns a server. It serves metrics at /metrics.
func New(backend Backend, ring *events.Ring, metrics http.Handler, log *slog.Logger) *Server {
	s := &Server{backend: backend, ring: ring, log: log}
	mux := http.NewServeMux()
	s.addReads(mux)
	mux.HandleFunc("POST /v1/detach", rootOnly(s.serveDetach))
	mux.HandleFunc("POST /v1/attach", rootOnly(s.serveAttach))
	mux.HandleFunc("POST /v1/cluster/forget", rootOnly(s.serveForget))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", rootOnly(serveProfile))
	views := http.NewServeMux()
	s.addReads(views)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.http, s.views = newServer(ctx, mux), newServer(ctx, views)
	return s
}

// addReads adds the routes that change nothing.
func (s *Server) addReads(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/status", s.serveStatus)
	mux.HandleFunc("GET /v1/parents", s.serveParents)
	mux.HandleFunc("GET /v1/endpoints", s.serveEndpoints)
	mux.HandleFunc("GET /v1/changes", s.serveChanges)
	mux.HandleFunc("GET /v1/events", s.serveEvents)
	mux.HandleFunc("GET /v1/networks", s.serveNetworks)
	mux.HandleFunc("GET /v1/cluster", s.serveCluster)
}

func newServer(ctx context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withPeer,
	}
}

// Serve answers requests until Close. The listener must be of a unix socket.
func (s *Server) Serve(l net.Listener) error { return serveOn(s.http, l) }

// ServeView answers requests that change nothing, of any user, until Close.
func (s *Server) ServeView(l net.Listener) error { return serveOn(s.views, l) }

func serveOn(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Close ends the streams, waits for the answers under way until ctx is done,
// and closes the listeners.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	return errors.Join(s.http.Shutdown(ctx), s.views.Shutdown(ctx))
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	recent, err := parseFlag(r, "recent")
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	read := s.backend.Status
	if recent {
		read = s.backend.RecentStatus
	}
	status, err := read(r.Context())
	s.writeAnswer(w, status, err)
}

func (s *Server) serveParents(w http.ResponseWriter, r *http.Request) {
	status, err := s.backend.Status(r.Context())
	s.writeAnswer(w, status.Parents, err)
}

func (s *Server) serveNetworks(w http.ResponseWriter, r *http.Request) {
	networks, err := s.backend.Networks(r.Context())
	s.writeAnswer(w, networks, err)
}

func (s *Server) serveEndpoints(w http.ResponseWriter, r *http.Request) {
	all, err := parseFlag(r, "all")
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	list := newArrayWriter(w)
	if err := s.backend.Endpoints(r.Context(), all,
		func(e *specs.Endpoint) error { return list.addElement(e) }); err != nil {
		s.answerFailure(w, &list.jsonWriter, err)
		return
	}
	list.endArray()
}

// serveChanges answers with a line for each part.
func (s *Server) serveChanges(w http.ResponseWriter, r *http.Request) {
	lines := newLineWriter(w)
	if err := s.backend.Changes(r.Context(), r.URL.Query().Get("after"),
		func(part *specs.Changes) error { return lines.addLine(part) }); err != nil {
		s.answerFailure(w, &lines.jsonWriter, err)
		return
	}
	lines.out.Flush() // the reader may be gone
}

// answerFailure answers with an error, or cuts the answer off if a part of it is out already, so
// that the reader sees that it is incomplete.
func (s *Server) answerFailure(w http.ResponseWriter, list *jsonWriter, err error) {
	if list.begun && list.err == nil {
		s.log.Error("request aborted", "error", err)
	}
	if list.begun {
		panic(http.ErrAbortHandler)
	}
	s.writeAnswer(w, nil, err)
}

func (s *Server) serveDetach(w http.ResponseWriter, r *http.Request) {
	purge, err := parseFlag(r, "purge")
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	s.writeAnswer(w, struct{}{}, s.backend.Detach(r.Context(), purge))
}

func (s *Server) serveAttach(w http.ResponseWriter, r *http.Request) {
	s.writeAnswer(w, struct{}{}, s.backend.Attach(r.Context()))
}

func (s *Server) serveCluster(w http.ResponseWriter, r *http.Request) {
	status, err := s.backend.Cluster(r.Context())
	s.writeAnswer(w, status, err)
}

func (s *Server) serveForget(w http.ResponseWriter, r *http.Request) {
	released, err := s.backend.Forget(r.Context(), r.URL.Query().Get("node"))
	if released == nil {
		released = []string{}
	}
	s.writeAnswer(w, released, err)
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := s.backend.Ready(); err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (s *Server) writeAnswer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		s.log.Error("request failed", "error", err)
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the reader may be gone
}

func writeError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// parseFlag parses a switch of the query: absent, 0 or 1.
func parseFlag(r *http.Request, name string) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return false, specs.Invalid(name, v, "0 or 1")
	}
}
