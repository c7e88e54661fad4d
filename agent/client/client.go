package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"

	"berth/specs"
)

// SocketName is the name of the agent's socket in the state directory.
const SocketName = "berthd.sock"

// ViewDir is the directory of the agent's second socket, below the state directory. Only root
// passes the directory above it, so another process reaches the socket if its service
// manager binds ViewDir into its mount namespace, as berth-web.service does.
const ViewDir = "view/agent"

// CheckFile is the name of the file with the last `berth check --json`, in ViewDir below the
// state directory. berth-check.service writes it as root, for programs that are not root.
const CheckFile = "check.json"

// ErrNoAgent is wrapped by every error that means that no agent listens.
var ErrNoAgent = errors.New("no agent is running; start it with `berthd` or `systemctl start berthd`")

// A Client asks the agent of one state directory. It may be used concurrently.
type Client struct {
	socket string
	http   http.Client
}

// New returns a client for the agent whose state directory is dir. It does not
// connect yet.
func New(dir string) *Client {
	c := &Client{socket: filepath.Join(dir, SocketName)}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.socket)
		},
	}
	return c
}

// Status returns the agent's status.
func (c *Client) Status(ctx context.Context) (status specs.AgentStatus, err error) {
	return status, c.getJSON(ctx, "/v1/status", nil, &status)
}

// RecentStatus is Status for a program that asks again and again. The agent does not reconcile for
// it, and answers with the state of its last reconciliation, if that was a few seconds ago.
func (c *Client) RecentStatus(ctx context.Context) (status specs.AgentStatus, err error) {
	return status, c.getJSON(ctx, "/v1/status", url.Values{"recent": {"1"}}, &status)
}

// Parents returns the parents that the agent counts at or waits for.
func (c *Client) Parents(ctx context.Context) (parents []specs.ParentStatus, err error) {
	return parents, c.getJSON(ctx, "/v1/parents", nil, &parents)
}

// Networks returns the networks of the agent's configuration, with the use of their pools.
func (c *Client) Networks(ctx context.Context) (networks []specs.NetworkStatus, err error) {
	return networks, c.getJSON(ctx, "/v1/networks", nil, &networks)
}

// Endpoints returns the live endpoints, and if all is set the ended ones that are kept.
func (c *Client) Endpoints(ctx context.Context, all bool) (endpoints []specs.Endpoint, err error) {
	query := url.Values{}
	if all {
		query.Set("all", "1")
	}
	return endpoints, c.getJSON(ctx, "/v1/endpoints", query, &endpoints)
}

// Detach removes the agent's programs from all parents, until Attach or the next start of
// the agent. Counts stay unless purge is set.
func (c *Client) Detach(ctx context.Context, purge bool) error {
	query := url.Values{}
	if purge {
		query.Set("purge", "1")
	}
	return c.postRequest(ctx, "/v1/detach", query)
}

// Attach undoes Detach.
func (c *Client) Attach(ctx context.Context) error { return c.postRequest(ctx, "/v1/attach", nil) }

// Cluster returns the nodes, pools and attachments of the cluster.
func (c *Client) Cluster(ctx context.Context) (status specs.ClusterStatus, err error) {
	return status, c.getJSON(ctx, "/v1/cluster", nil, &status)
}

// Forget removes a node of the cluster, by its name or identity, and returns the keys that it had.
func (c *Client) Forget(ctx context.Context, node string) (released []string, err error) {
	body, err := c.sendRequest(ctx, http.MethodPost, "/v1/cluster/forget", url.Values{"node": {node}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return released, json.NewDecoder(body).Decode(&released)
}

func (c *Client) getJSON(ctx context.Context, path string, query url.Values, into any) error {
	body, err := c.sendRequest(ctx, http.MethodGet, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return badAnswer(path, err)
	}
	return nil
}

// badAnswer adds the most likely reason to the error of an answer that cannot be decoded.
func badAnswer(path string, err error) error {
	return fmt.Errorf("agent: if berthd is of another version, restart it: decode its answer to %s: %w", path, err)
}

func (c *Client) postRequest(ctx context.Context, path string, query url.Values) error {
	body, err := c.sendRequest(ctx, http.MethodPost, path, query)
	if err != nil {
		return err
	}
	return body.Close()
}

// sendRequest returns the body of an answer of the 2xx class; other answers are errors.
func (c *Client) sendRequest(ctx context.Context, method, path string, query url.Values) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "berthd", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, c.explainConnection(path, err)
	}
	if answer.StatusCode/100 == 2 {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("agent: no answer to %s: the running berthd is older than this program; restart it", path)
	}
	var refusal struct{ Error string }
	if json.NewDecoder(io.LimitReader(answer.Body, maxError)).Decode(&refusal) != nil || refusal.Error == "" {
		refusal.Error = answer.Status
	}
	return nil, fmt.Errorf("agent: %s", refusal.Error)
}

// maxError bounds the bytes read of an answer that is an error.
const maxError = 64 << 10

// explainConnection adds the remedy to the error of a failed connection.
func (c *Client) explainConnection(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("agent at %s: %w", c.socket, ErrNoAgent)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("agent at %s: permission denied; run as root, or join the group that socket_group under [agent] "+
			"in berth.toml names", c.socket)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("agent at %s: %s: %w", c.socket, path, err)
}
