package docker

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// Server answers docker's calls. Between two calls it keeps nothing in memory except the ranges of
// networks that docker is creating.
type Server struct {
	Dirs     config.Dirs
	Networks Networks
	Store    *state.Store
	NewHook  func() *hook.Hook           // a hook is used for one call
	Allow    func(specs.Selection) error // refuses a network by policy, as hook.Hook.Allow does
	Log      *slog.Logger
	Now      func() time.Duration // CLOCK_BOOTTIME, or nil for the kernel's

	ranges ranges
}

type method func(*Server, context.Context, []byte) (any, error)

// constant returns a method whose answer does not depend on the request.
func constant(answer any) method {
	return func(*Server, context.Context, []byte) (any, error) { return answer, nil }
}

// methods are the calls that the server answers. docker takes 404 for a method that a driver
// does not have.
var methods = map[string]method{
	"Plugin.Activate":                    constant(Activation{[]string{"NetworkDriver", "IpamDriver"}}),
	"NetworkDriver.GetCapabilities":      constant(Capabilities{"local", "global", true}),
	"NetworkDriver.GwAllocCheck":         constant(GatewayCheck{true, true}),
	"NetworkDriver.CreateNetwork":        (*Server).createNetwork,
	"NetworkDriver.DeleteNetwork":        (*Server).deleteNetwork,
	"NetworkDriver.CreateEndpoint":       (*Server).createEndpoint,
	"NetworkDriver.Join":                 (*Server).join,
	"NetworkDriver.Leave":                (*Server).leave,
	"NetworkDriver.DeleteEndpoint":       (*Server).deleteEndpoint,
	"NetworkDriver.EndpointOperInfo":     constant(struct{ Value struct{} }{}),
	"NetworkDriver.DiscoverNew":          constant(done{}), // of nodes of a swarm
	"NetworkDriver.DiscoverDelete":       constant(done{}),
	"IpamDriver.GetCapabilities":         constant(IPAMCapabilities{}),
	"IpamDriver.GetDefaultAddressSpaces": (*Server).addressSpaces,
	"IpamDriver.RequestPool":             (*Server).requestPool,
	"IpamDriver.ReleasePool":             (*Server).releasePool,
	"IpamDriver.RequestAddress":          (*Server).requestAddress,
	"IpamDriver.ReleaseAddress":          (*Server).releaseAddress,
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	do, known := methods[name]
	if !known || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	var answer any
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), hook.Timeout)
		defer cancel()
		answer, err = do(s, ctx, data)
	}
	w.Header().Set("Content-Type", MediaType)
	if err != nil {
		s.Log.Error("berth-docker", "call", name, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		answer = failureOf(err)
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.Log.Error("berth-docker", "call", name, "error", err)
	}
}

// failure is the answer of a call that failed. docker's client of plugins shows Err alone, of a
// network driver and of an IPAM driver, and the whole answer as JSON if there is no Err; the
// protocol of IPAM drivers names Error.
type failure struct {
	Err   string
	Error string
}

func failureOf(err error) failure {
	text := "berth-docker: " + err.Error()
	return failure{text, text}
}

// done is the answer of a method that returns nothing.
type done struct{}
