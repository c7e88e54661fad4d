package nri

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/nri/pkg/api"
)

// withDeadline returns a context that ends while the runtime still waits: a late answer is worse
// than a refusal, because the runtime then closes the plugin and starts the pod without it.
// A quarter of the time is left for the undo and the answer. The runtime's deadline comes
// with the request (plugin_request_timeout; 2 s).
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	left := api.DefaultPluginRequestTimeout
	if at, ok := ctx.Deadline(); ok {
		left = time.Until(at)
	}
	left = left * 3 / 4
	return context.WithTimeoutCause(ctx, left, fmt.Errorf(
		"not finished within %v, the time that the container runtime's plugin_request_timeout leaves: %w",
		left.Round(10*time.Millisecond), context.DeadlineExceeded))
}
