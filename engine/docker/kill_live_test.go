package docker

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/internal/testnet"
)

// killAfter is the environment variable that makes this test binary a driver that answers one call,
// and kills itself after a step of it; see [host.killed].
const killAfter = "BERTH_DOCKER_KILL_AFTER"

func TestMain(m *testing.M) {
	if os.Getenv(killAfter) != "" {
		os.Exit(answerAndDie())
	}
	testnet.Main(m)
}

// answerAndDie answers the call of the arguments. It returns only if the step did not come.
func answerAndDie() int {
	dirs := config.Dirs{Config: os.Args[1], State: os.Args[2], BPFFS: os.Args[3]}
	s := &Server{Dirs: dirs, Networks: Networks{os.Args[4]}, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler)}
	s.NewHook = func() *hook.Hook {
		return &hook.Hook{Dirs: dirs, Store: s.Store, Log: s.Log, Step: testnet.KillAfter(killAfter)}
	}
	s.Allow = s.NewHook().Allow
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/"+os.Args[5], strings.NewReader(os.Args[6])))
	fmt.Println(w.Code, w.Body)
	return 1
}

// killed calls a method in a process that kills itself after a step.
func (h *host) killed(step, name, body string) {
	h.Helper()
	cmd := exec.Command(os.Args[0], h.Dirs.Config, h.Dirs.State, h.Dirs.BPFFS, h.Networks.Dir, name, body)
	cmd.Env = append(os.Environ(), killAfter+"="+step)
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		h.Fatalf("%s, after step %q: %v\n%s", name, step, err, out)
	}
}

// joinSteps are the steps of Join after which something exists.
var joinSteps = []string{"claim", "register", "create the interfaces", "set them up", "add addresses", "add routes", "commit"}

// TestKilled kills the driver by SIGKILL after each step of a request of an address and of Join.
// docker repeats a call without an answer, or takes the container back: either way the container
// starts or nothing is left of it.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create(`,"conflict_timeout":"0"`)
	now := h.now()
	for _, step := range joinSteps {
		for _, repeated := range []bool{true, false} {
			ns := testnet.Namespace(t)
			joined := endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`)
			h.killed("lease", "IpamDriver.RequestAddress", `{"PoolID":"`+pool24+`","Address":""}`)
			h.address("", 200, `"192.0.2.3/24"`) // the other has no answer
			h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.3/24"}`), 200, "MacAddress")
			h.killed(step, "NetworkDriver.Join", joined)
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
