package names

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"berth/internal/state"
	"berth/specs"

	eventtypes "github.com/containerd/containerd/api/events"
	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// containerd queries one containerd by its API, with the client generated from its protocol
// files: the full client library is many times as large.
type containerd struct {
	socket string
	globs  []string
	conn   *grpc.ClientConn
}

// The time limit of an answer, and the interval at which a missing socket is checked.
const (
	callTimeout = 2 * time.Second
	socketPause = 2 * time.Second
)

// namespaceHeader selects the namespace of a call (containerd's pkg/namespaces/grpc.go).
const namespaceHeader = "containerd-namespace"

// Containerd returns the containerd that listens on a socket, limited to its namespaces
// that match one of the globs (path.Match). It connects at the first request. Close closes
// the connection.
func Containerd(socket string, globs []string) (interface {
	Enricher
	Close() error
}, error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10))
	if err != nil {
		return nil, fmt.Errorf("containerd at %q: %w", socket, err)
	}
	return &containerd{socket: socket, globs: globs, conn: conn}, nil
}

func (c *containerd) String() string { return "containerd at " + c.socket }

// Close closes the connection.
func (c *containerd) Close() error { return c.conn.Close() }

// isListening reports whether the socket exists. A connection attempt to a missing one would only
// make grpc wait longer before the next.
func (c *containerd) isListening() bool {
	_, err := os.Stat(c.socket)
	return err == nil
}

// Names implements Enricher. It returns no names for an ID that exists in several
// namespaces (possible only if a person chose it), as the answer is ambiguous.
func (c *containerd) Names(ctx context.Context, id string) (*state.Names, error) {
	if !c.isListening() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	namespaces, err := c.listNamespaces(ctx)
	if err != nil {
		return nil, c.wrapError(err)
	}
	var found []*containersapi.Container
	for _, ns := range namespaces {
		in := metadata.AppendToOutgoingContext(ctx, namespaceHeader, ns)
		answer, err := containersapi.NewContainersClient(c.conn).Get(in, &containersapi.GetContainerRequest{ID: id})
		switch status.Code(err) {
		case codes.OK:
			found = append(found, answer.GetContainer())
		case codes.NotFound, codes.InvalidArgument: // containerd restricts the characters of IDs more than runc
		default:
			return nil, c.wrapError(err)
		}
	}
	if len(found) != 1 {
		return nil, nil
	}
	return namesOf(found[0].GetImage(), found[0].GetLabels()), nil
}

func (c *containerd) wrapError(err error) error {
	if s, ok := status.FromError(err); ok {
		err = errors.New(s.Message())
	}
	return fmt.Errorf("containerd at %q: %w", c.socket, err)
}

// namesOf returns the names in the labels of nerdctl and of containerd's CRI plugin.
func namesOf(image string, labels map[string]string) *state.Names {
	n := kubernetesNames(labels)
	if name := labels["nerdctl/name"]; name != "" {
		n.Name = name
	}
	n.Engine, n.Image, n.Labels = specs.EngineContainerd, image, userLabels(labels)
	return &n
}

// listNamespaces returns the namespaces to query.
func (c *containerd) listNamespaces(ctx context.Context) (asked []string, err error) {
	answer, err := namespacesapi.NewNamespacesClient(c.conn).List(ctx, &namespacesapi.ListNamespacesRequest{})
	if err != nil {
		return nil, err
	}
	for _, ns := range answer.GetNamespaces() {
		if c.wantsNamespace(ns.GetName()) {
			asked = append(asked, ns.GetName())
		}
	}
	return asked, nil
}

func (c *containerd) wantsNamespace(namespace string) bool {
	return slices.ContainsFunc(c.globs, func(glob string) bool {
		ok, _ := path.Match(glob, namespace)
		return ok
	})
}

// topics are the events of containers whose names may have changed.
var topics = []string{`topic=="/containers/create"`, `topic=="/containers/update"`}

// Watch implements Enricher.
func (c *containerd) Watch(ctx context.Context, changed func(id string)) error {
	for !c.isListening() {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(socketPause):
		}
	}
	stream, err := eventsapi.NewEventsClient(c.conn).Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: topics},
		grpc.WaitForReady(true))
	if err != nil {
		return c.streamError(ctx, err)
	}
	changed("")
	for {
		event, err := stream.Recv()
		if err != nil {
			return c.streamError(ctx, err)
		}
		if id := eventID(event.GetEvent()); id != "" && c.wantsNamespace(event.GetNamespace()) {
			changed(id)
		}
	}
}

// eventID returns the ID of an event's container. It is the first field of all container
// events.
func eventID(event *anypb.Any) string {
	var e eventtypes.ContainerUpdate
	if proto.Unmarshal(event.GetValue(), &e) != nil {
		return ""
	}
	return e.GetID()
}

func (c *containerd) streamError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return c.wrapError(err)
}
