package api

import (
	"net/http"
	"net/http/pprof"
)

// profile answers what `go tool pprof` asks for; root only, as a profile has
// what is in memory and costs the agent time.
func profile(w http.ResponseWriter, r *http.Request) {
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
