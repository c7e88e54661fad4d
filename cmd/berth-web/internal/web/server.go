package web

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"
)

//go:embed page
var embedded embed.FS

// pageFiles returns the files of the page.
func pageFiles() fs.FS {
	files, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return files
}

// writeTimeout is the time in which a viewer must take a message.
const writeTimeout = 30 * time.Second

// NewHandler returns all routes of the page.
func NewHandler(g *Guard, h *Hub) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", newPage(pageFiles()))
	mux.HandleFunc("GET /kinds.json", serveKinds)
	mux.HandleFunc("POST /session", g.startSession)
	mux.HandleFunc("GET /feed", g.needSession(h.serveFeed))
	mux.HandleFunc("GET /history", g.needSession(h.serveHistory))
	return g.Check(mux)
}

func serveKinds(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Kinds()) // the reader may be gone
}

// serveFeed streams messages, one JSON object a line.
func (h *Hub) serveFeed(w http.ResponseWriter, r *http.Request) {
	v, err := h.join()
	if err != nil {
		code := http.StatusInternalServerError
		if errors.Is(err, errTooMany) {
			code = http.StatusServiceUnavailable
		}
		http.Error(w, err.Error(), code)
		return
	}
	defer h.leave(v)
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	if control.Flush() != nil {
		return
	}
	for {
		select {
		case line, ok := <-v.lines:
			_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
			if !ok {
				return
			}
			if _, err := w.Write(line); err != nil || control.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// Serve answers requests until ctx is done. The certificate and key are files; without
// them it serves plain HTTP.
func Serve(ctx context.Context, l net.Listener, g *Guard, source Source, cert, key string, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := NewHub(source)
	go h.Run(ctx)
	server := http.Server{
		Handler:           NewHandler(g, h),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	var err error
	if g.TLS {
		err = server.ServeTLS(l, cert, key)
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
