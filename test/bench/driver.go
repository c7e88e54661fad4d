package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"berth/test/lab"
)

// answeredWithin is the time within which docker's driver answers a call.
const answeredWithin = 10 * time.Millisecond

// emptyServer answers every request with an empty object, on the socket that systemd passes.
const emptyServer = `package main

import (
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		panic(err)
	}
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "{}\n")
	})))
}
`

// firstCall is the name of the call that starts the program.
const firstCall = "the first call, which starts the program"

// leave is the call that deletes the interface.
const leave = "NetworkDriver.Leave"

// A served is a program that answers docker's calls, and the times of its answers by call.
type served struct {
	argv    []string
	sampled map[string]durations
}

// benchDriver measures each call of docker's driver, and an empty server of HTTP, in turn. Each
// life of a program is that of one network with one container.
func benchDriver(b *bench) (*section, error) {
	host, _, err := b.newHost("driver")
	if err != nil {
		return nil, err
	}
	if err := host.Network("lan", berthNetwork(berthSubnet, 0)); err != nil {
		return nil, err
	}
	empty, err := buildProgram(host.Dir, "empty-server", emptyServer)
	if err != nil {
		return nil, err
	}
	if err := host.Enter(); err != nil {
		return nil, err
	}
	driver := append([]string{filepath.Join(b.bin, "berth-docker")}, host.Flags()...)
	ours := &served{append(driver, "--networks", filepath.Join(host.Dir, "docker-networks")), make(map[string]durations)}
	scale := &served{[]string{empty}, make(map[string]durations)}
	var order []string
	var deleted durations
	for round := range b.rounds + warmUp {
		b.step(round, b.rounds+warmUp)
		for i := range 2 {
			one := []*served{ours, scale}[(i+round)%2]
			if order, err = one.live(host, round >= warmUp); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Base(one.argv[0]), err)
			}
		}
		if err := deleteMACVLAN(&deleted); err != nil {
			return nil, err
		}
	}
	return driverSection(order, ours, scale, deleted, b.rounds), nil
}

// deleteMACVLAN creates a macvlan, and adds the time of its deletion.
func deleteMACVLAN(into *durations) error {
	create := exec.Command("ip", "link", "add", "link", "eth1", "name", "scale0", "type", "macvlan")
	if _, err := lab.Output(create); err != nil {
		return err
	}
	begin := time.Now()
	_, err := lab.Output(exec.Command("ip", "link", "delete", "scale0"))
	*into = append(*into, time.Since(begin))
	return err
}

func driverSection(order []string, ours, scale *served, deleted durations, rounds int) *section {
	s := &section{
		how: fmt.Sprintf("The time of each call of docker's driver, without a probe for the address, and that of a program "+
			"of Go that answers HTTP and does nothing else: medians of %d rounds. The goal is for the fastest tenth.",
			rounds),
		head: []string{"", "berth-docker", "fastest tenth", "empty server"},
	}
	for _, name := range order {
		got := ours.sampled[name]
		fastest := quantile(got, 0.1)
		goal, met := fmt.Sprintf("≤ %d ms", answeredWithin.Milliseconds()), fastest <= answeredWithin
		if name == leave {
			goal, met = "≤ `ip link delete`", fastest <= quantile(deleted, 0.1)
		}
		s.judge(goal, met, name, ms(median(got)), ms(fastest), ms(median(scale.sampled[name])))
	}
	s.addRow("`ip link delete` of a macvlan, for scale", ms(median(deleted)), ms(quantile(deleted, 0.1)))
	s.fact("`%s` waits until the kernel has deleted the interface, as every driver of such interfaces does.", leave)
	return s
}

// buildProgram builds a program from one file of Go, and returns its path.
func buildProgram(dir, name, source string) (string, error) {
	file, program := filepath.Join(dir, name+".go"), filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return "", err
	}
	built := program + "-built"
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built+"/"+name, file)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := lab.Output(build); err != nil {
		return "", err
	}
	return program, install(built, dir)
}

// A life is a running program with a connection.
type life struct {
	*served
	client  http.Client
	counted bool
	order   []string
}

// live starts the program by its first call, as systemd does, makes docker's calls for a
// network and a container in docker's order, and ends it. It returns the names of the calls.
func (p *served) live(host *lab.Host, counted bool) (order []string, err error) {
	socket := filepath.Join(host.Dir, "driver.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	passed, err := l.(*net.UnixListener).File()
	if err != nil {
		return nil, err
	}
	defer passed.Close()
	begin := time.Now()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`}, p.argv...)...)
	cmd.ExtraFiles = []*os.File{passed}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended; then Wait has the reason
		if ended := cmd.Wait(); err != nil {
			err = errors.Join(err, ended)
		}
	}()
	one := &life{served: p, counted: counted, client: http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}}
	if _, err := one.callMethod(begin, firstCall, "Plugin.Activate", ""); err != nil {
		return nil, err
	}
	err = one.runContainer()
	return one.order, err
}

// The network and the endpoint of a life.
const (
	driverNetwork  = `"NetworkID":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"`
	driverEndpoint = driverNetwork + `,"EndpointID":"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"`
	driverSpace    = "berth-0123456789abcdef"
)

// runContainer makes the calls of a network and of a container on it.
func (p *life) runContainer() error {
	c, err := newContainer()
	if err != nil {
		return err
	}
	defer c.end()
	pool := `"PoolID":"` + driverSpace + " " + berthSubnet.String() + `"`
	gateway := fmt.Sprintf("%s/%d", berthSubnet.Addr().Next(), berthSubnet.Bits())
	address := gateway // the empty server gives none
	subnet := `"AddressSpace":"` + driverSpace + `","Pool":"` + berthSubnet.String() + `"`
	for _, one := range []struct{ name, body string }{
		{"IpamDriver.RequestPool", subnet},
		{"NetworkDriver.CreateNetwork", driverNetwork + `,"Options":{"com.docker.network.generic":{"network":"lan"}},` +
			`"IPv4Data":[{` + subnet + `,"Gateway":"` + gateway + `"}]`},
		{"IpamDriver.RequestAddress", pool + `,"Address":""`},
		{"NetworkDriver.CreateEndpoint", driverEndpoint + `,"Interface":{"Address":"ADDRESS"}`},
		{"NetworkDriver.Join", driverEndpoint + `,"SandboxKey":"` + c.path() + `"`},
		{"NetworkDriver.EndpointOperInfo", driverEndpoint},
		{leave, driverEndpoint},
		{"NetworkDriver.DeleteEndpoint", driverEndpoint},
		{"IpamDriver.ReleaseAddress", pool + `,"Address":"HOST"`},
		{"NetworkDriver.DeleteNetwork", driverNetwork},
		{"IpamDriver.ReleasePool", pool},
	} {
		host, _, _ := strings.Cut(address, "/")
		body := strings.NewReplacer("ADDRESS", address, "HOST", host).Replace("{" + one.body + "}")
		answer, err := p.callMethod(time.Now(), one.name, one.name, body)
		if err != nil {
			return err
		}
		if answer.Address != "" {
			address = answer.Address
		}
	}
	return nil
}

// An addressed is the part of an answer that a later call needs.
type addressed struct{ Address string }

// callMethod makes a call and adds its time since begin, under a name.
func (p *life) callMethod(begin time.Time, name, method, body string) (a addressed, err error) {
	response, err := p.client.Post("http://driver/"+method, "application/json", strings.NewReader(body))
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	took := time.Since(begin)
	if response.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s: %s: %s", method, response.Status, text)
	}
	p.order = append(p.order, name)
	if p.counted {
		p.sampled[name] = append(p.sampled[name], took)
	}
	return a, json.Unmarshal(text, &a)
}
