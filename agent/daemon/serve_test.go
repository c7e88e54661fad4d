package daemon

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTheMetricsAddressServesNothingElse: any account of the host, and in Kubernetes of the
// network, can reach the metrics address, so it serves only the metrics of the socket's
// API.
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
