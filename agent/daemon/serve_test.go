package daemon

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The address of the metrics is for every account of the host, and in
// Kubernetes for the network: it has nothing of the socket but the metrics.
func TestTheMetricsAddressServesNothingElse(t *testing.T) {
	h := onlyMetrics(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	for request, want := range map[[2]string]int{
		{"GET", "/metrics"}:      http.StatusOK,
		{"POST", "/metrics"}:     http.StatusMethodNotAllowed,
		{"POST", "/v1/detach"}:   http.StatusNotFound,
		{"POST", "/v1/attach"}:   http.StatusNotFound,
		{"GET", "/v1/events"}:    http.StatusNotFound,
		{"GET", "/v1/endpoints"}: http.StatusNotFound,
		{"GET", "/debug/pprof/"}: http.StatusNotFound,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(request[0], request[1], nil))
		if w.Code != want {
			t.Errorf("%s %s: %d, want %d", request[0], request[1], w.Code, want)
		}
	}
}
