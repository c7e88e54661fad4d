package docker

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"berth/engine/doortest"
	"berth/hook"
	"berth/internal/state"
	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.MainOr(m, answerCall) }

// answerCall answers one call and prints the answer. Its hook ends the process after a step. args
// are the directories, that of the networks, the method and its request.
func answerCall(args []string) int {
	dirs := doortest.DirsOf(args)
	s := &Server{Dirs: dirs, Networks: Networks{args[3]}, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler)}
	s.NewHook = func() *hook.Hook {
		return &hook.Hook{Dirs: dirs, Store: s.Store, Log: s.Log, Step: testnet.KillStep}
	}
	s.Allow = s.NewHook().Allow
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/"+args[4], strings.NewReader(args[5])))
	fmt.Println(w.Code, w.Body)
	return 1
}

// program returns a command that answers a call in a process that ends itself after a step.
func (h *host) program(step, name, body string) *exec.Cmd {
	return testnet.ProgramKilledAfter(step, h.Dirs.Config, h.Dirs.State, h.Dirs.BPFFS, h.Networks.Dir, name, body)
}

// TestKilled kills the driver by SIGKILL after each step of a request of an address and of Join.
// docker repeats a call without an answer, or takes the container back: either way the container
// starts or nothing is left of it.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create(`,"conflict_timeout":"0"`)
	now := h.now()
	for _, step := range doortest.Steps {
		for _, repeated := range []bool{true, false} {
			ns := testnet.Namespace(t)
			joined := endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`)
			testnet.RequireKilled(t, h.program("lease", "IpamDriver.RequestAddress", `{"PoolID":"`+pool24+`","Address":""}`))
			h.address("", 200, `"192.0.2.3/24"`) // the other has no answer
			h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.3/24"}`), 200, "MacAddress")
			testnet.RequireKilled(t, h.program(step, "NetworkDriver.Join", joined))
			if repeated {
				h.callDriver("NetworkDriver.Join", joined, 200, "Gateway")
				h.expectHeld("192.0.2.2 192.0.2.3")
				if a := testnet.Run(t, ns, "ip", "-o", "-4", "address"); strings.Count(a, "192.0.2.3/24") != 1 {
					t.Errorf("after %q: addresses %q", step, a)
				}
				h.callDriver("NetworkDriver.Leave", endpoint("a", ""), 200, "{}")
			}
			h.callDriver("NetworkDriver.DeleteEndpoint", endpoint("a", ""), 200, "{}")
			h.release("192.0.2.3")
			h.expectHeld("192.0.2.2")
			if links := testnet.Run(t, ns, "ip", "-o", "link", "show", "type", "macvlan"); links != "" {
				t.Errorf("after %q: left %q", step, links)
			}
			h.Now = func() time.Duration { return now + 2*orphanAge }
			if n, err := h.Sweep(t.Context()); n != 1 || err != nil {
				t.Errorf("after %q: swept %d, %v, want the address without an answer", step, n, err)
			}
			h.expectHeld("")
			h.Now = nil
		}
	}
}
