package nri

import (
	"context"
	"fmt"
	"log/slog"
)

// logger writes the log of NRI's library.
type logger struct{ to *slog.Logger }

// The library's own steps are useful for debugging.

func (l logger) Debugf(ctx context.Context, format string, args ...any) {
	l.writeLog(ctx, slog.LevelDebug, format, args)
}

func (l logger) Infof(ctx context.Context, format string, args ...any) {
	l.writeLog(ctx, slog.LevelDebug, format, args)
}

func (l logger) Warnf(ctx context.Context, format string, args ...any) {
	l.writeLog(ctx, slog.LevelWarn, format, args)
}

func (l logger) Errorf(ctx context.Context, format string, args ...any) {
	l.writeLog(ctx, slog.LevelError, format, args)
}

func (l logger) writeLog(ctx context.Context, level slog.Level, format string, args []any) {
	if l.to.Enabled(ctx, level) {
		l.to.Log(ctx, level, fmt.Sprintf(format, args...), "of", "nri")
	}
}
