package check

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDriverOfDocker requires that the driver of docker's networks is called only if docker has some, and
// that one that is away, or answers with an error, is a failure with a remedy.
func TestDriverOfDocker(t *testing.T) {
	root, err := os.MkdirTemp("", "b") // the path of a socket has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	c := &Checker{Root: root}
	expect := func(want ...Line) {
		t.Helper()
		got := c.DriverOfDocker(t.Context(), "docker")
		if len(got) != len(want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		for i, w := range want {
			if got[i].Subject != "docker" || got[i].Check != "driver" || got[i].Result != w.Result ||
				!strings.Contains(got[i].Message, w.Message) || !strings.Contains(got[i].Remedy, w.Remedy) {
				t.Errorf("got %+v, want %+v", got[i], w)
			}
		}
	}
	expect()
	for _, dir := range []string{driverNetworks, filepath.Dir(driverSocket)} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, driverNetworks, strings.Repeat("a", 64)+".json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const remedy = "systemctl unmask berth-docker.socket"
	expect(Line{Result: Fail, Message: "no such file", Remedy: remedy})
	l, err := net.Listen("unix", filepath.Join(root, driverSocket))
	if err != nil {
		t.Fatal(err)
	}
	status := http.StatusInternalServerError
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/Plugin.Activate" {
			t.Errorf("called %s", r.URL.Path)
		}
		w.WriteHeader(status)
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }() // it ends with Close
	t.Cleanup(func() { _ = server.Close(); <-served })
	expect(Line{Result: Fail, Message: "500 Internal Server Error", Remedy: remedy})
	status = http.StatusOK
	expect(Line{Result: Pass, Message: "1 networks"})
}
