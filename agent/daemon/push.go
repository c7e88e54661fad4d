package daemon

import (
	"context"
	"sync"
	"time"

	"berth/agent/otlp"

	"go.opentelemetry.io/otel"
)

// pushMetrics pushes metrics to the configured collector, if there is one, until ctx is done. If
// the collector does not answer, each distinct error is logged once; nothing else is
// affected.
func (a *Agent) pushMetrics(ctx context.Context) {
	if a.config.OTLP == "" {
		return
	}
	var mu sync.Mutex
	logged := ""
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if text := err.Error(); text != logged && ctx.Err() == nil {
			logged = text
			a.log.Warn("cannot push metrics", "to", a.config.OTLP, "error", err)
		}
	}))
	stop, err := otlp.Start(ctx, otlp.Options{
		URL: a.config.OTLP, Interval: time.Duration(a.config.OTLPInterval), Version: a.o.Version, Format: a.format,
		Fill: a.fillSnapshot,
	})
	if err != nil {
		a.log.Error("metrics are not pushed", "error", err)
		return
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := stop(end); err != nil {
		a.log.Warn("cannot push metrics a last time", "to", a.config.OTLP, "error", err)
	}
}
