package api

import (
	"net/http"
	"net/http/pprof"
)

// serveProfile serves the requests of `go tool pprof`, for root only, as a profile reveals
// memory and costs the agent time.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/debug/pprof/profile":
		pprof.Profile(w, r)
	case "/debug/pprof/trace":
		pprof.Trace(w, r)
	case "/debug/pprof/symbol":
		pprof.Symbol(w, r)
	case "/debug/pprof/cmdline":
		pprof.Cmdline(w, r)
	default:
		pprof.Index(w, r) // the list, and the others by name
	}
}
