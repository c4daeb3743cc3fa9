package main

import (
	"log/slog"
	"net/http"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/tunnel"
)

// monitor serves what --metrics asks for, until stop is called: at the end of the drain.
func (pl *tunnelPlan) monitor() (stop func(), err error) {
	if pl.metrics == nil {
		return func() {}, nil
	}
	l, err := pl.metrics.Listen(pl.mode)
	if err != nil {
		return nil, &connect.Error{Target: quote.Escape(pl.metrics.String()), Step: connect.Listen, Err: err}
	}
	pl.log.Info("serving metrics", "listen", tunnel.Address(l.Addr()))
	server := &http.Server{
		Handler:           pl.server.Monitor(versionText()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // /readyz may wait for a target
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(pl.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(l); err != http.ErrServerClosed {
			pl.log.Error("metrics are no longer served", "error", err)
		}
	}()
	return func() { server.Close() }, nil
}
